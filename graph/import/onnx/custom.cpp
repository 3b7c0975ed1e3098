#include "graph/import/onnx/custom.h"

#include "graph/import/onnx/onnx_node.h"
#include "graph/rules/custom.h"

namespace attune {
namespace {

std::map<std::string, OnnxImport>& imports() {
  static std::map<std::string, OnnxImport> all;
  return all;
}

// Attributes are parameters; tensors of the model are trained where other operators train them,
// too.
void import_by_rule(OnnxNode& n, const OperatorRule& rule) {
  CustomAttrs attrs = custom_attrs(rule.op->name);
  double* parameter = attrs.parameters;
  for (const auto& [name, otherwise] : rule.attributes)
    *parameter++ = n.number(name.c_str(), otherwise);
  std::vector<ValueId> inputs;
  for (int i = 0; i < n.input_count(); ++i) inputs.push_back(n.operand(i));
  n.refuse_outputs(1);
  n.set(0, n.emit(Op::custom, attrs, inputs));
}

}  // namespace

void register_import(const std::string& name, OnnxImport import) {
  imports()[name] = std::move(import);
}

OnnxImport custom_import(const std::string& name) {
  if (const auto own = imports().find(name); own != imports().end()) return own->second;
  const OperatorRule* rule = find_operator_rule(name);
  if (rule == nullptr) return nullptr;
  return [rule](OnnxNode& n) { import_by_rule(n, *rule); };
}

}  // namespace attune
