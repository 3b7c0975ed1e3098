#include "graph/rules/custom.h"

#include <deque>

namespace attune {
namespace {

std::deque<OperatorRule>& rules() {
  static std::deque<OperatorRule> all;
  return all;
}

}  // namespace

void register_operator(const OperatorRule& rule) {
  const char* wrong = rule.op == nullptr ? "it has no device part" : add_custom_operator(*rule.op);
  if (wrong == nullptr && rule.attributes.size() > kMaxCustomParameters)
    wrong = "it has more attributes than parameters";
  if (wrong != nullptr)
    throw_error("operator '{}' cannot be registered: {}",
                rule.op == nullptr || rule.op->name == nullptr ? "" : rule.op->name, wrong);
  if (find_operator_rule(rule.op->name) == nullptr) rules().push_back(rule);
}

const OperatorRule* find_operator_rule(std::string_view name) {
  for (const OperatorRule& rule : rules())
    if (name == rule.op->name) return &rule;
  return nullptr;
}

ValueId emit_custom(GradientContext& g, const CustomOperator& op, std::vector<ValueId> inputs,
                    std::initializer_list<double> parameters, const char* suffix) {
  return g.emit(Op::custom, custom_attrs(op.name, parameters), std::move(inputs), suffix);
}

double custom_parameter(const Node& node, int i) { return node.as<CustomAttrs>().parameters[i]; }

void gradient_custom(GradientContext& g) {
  find_operator_rule(custom_name(g.node().as<CustomAttrs>()))->gradient(g);
}

bool has_gradient(const Node& node) {
  if (node.op != Op::custom) return gradient_rule(node.op) != nullptr;
  const OperatorRule* rule = find_operator_rule(custom_name(node.as<CustomAttrs>()));
  return rule != nullptr && rule->gradient != nullptr;
}

}  // namespace attune
