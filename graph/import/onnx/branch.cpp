// If: the branch that is taken, where the condition is known.
#include <onnx/onnx_pb.h>

#include <utility>

#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {

void import_If(OnnxNode& n) {
  const bool yes = n.known_scalar(0, "condition") != 0;
  n.import_branch(yes ? "then_branch" : "else_branch");
}

// Names within a branch are its own: another branch may have them, too. What it holds is constant:
// no export reaches into it.
void Importer::import_branch(const onnx::GraphProto& branch, const onnx::NodeProto& node) {
  std::vector<std::string> own;
  struct Leave {
    Importer& importer;
    const std::vector<std::string>& own;
    bool outer;
    ~Leave() {
      importer.in_branch_ = outer;
      for (const std::string& name : own) importer.tensors_.erase(name);
    }
  } leave{*this, own, std::exchange(in_branch_, true)};
  const auto make = [&](const std::string& name) -> OnnxTensor& {
    const auto [at, added] = tensors_.try_emplace(name);
    if (!added) throw_error("its branch makes tensor '{}', which is there already", name);
    own.push_back(name);
    return at->second;
  };
  const auto check_made = [&](const std::string& name) {
    const auto found = tensors_.find(name);
    const OnnxTensor* tensor = found == tensors_.end() ? nullptr : &found->second;
    if (tensor == nullptr || !(tensor->known || tensor->padding || tensor->value != kNone))
      throw_error("its branch reads '{}', which is not there", name);
  };
  for (const auto& initializer : branch.initializer())
    make(initializer.name()).known = std::make_shared<const KnownTensor>(
        read_tensor(initializer, initializer.name(), model_.shared()));
  for (const auto& inner : branch.node()) {
    for (const auto& input : inner.input())
      if (!input.empty()) check_made(input);
    for (const auto& output : inner.output())
      if (!output.empty()) make(output);
    if (const auto reason = import_node(inner))
      throw_error("in its branch, {} ({}): {}", OnnxNode(*this, inner).name(), inner.op_type(),
                  *reason);
  }
  if (branch.output_size() < node.output_size()) throw_error("its branch has too few outputs");
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    check_made(branch.output(i).name());
    tensors_.at(node.output(i)) = tensors_.at(branch.output(i).name());
  }
}

}  // namespace attune
