#include "graph/passes/passes.h"

namespace attune {
namespace {

bool takes_mask(const Node& node) {
  return (node.op == Op::conv2d_grad_input || node.op == Op::depthwise_conv2d_grad_input) &&
         node.input(2) == kNone;
}

}  // namespace

void fuse_mask_grad(Graph& graph) {
  graph.index();
  const auto readers = graph.readers();
  for (Node& mask_grad : graph.nodes) {
    if (mask_grad.op != Op::mask_grad) continue;
    const ValueId dy = mask_grad.inputs[0], mask = mask_grad.inputs[1];
    const NodeId producer = graph.value(dy).producer, masker = graph.value(mask).producer;
    if (producer == kNone || readers[dy].size() != 1 || graph.is_output(dy)) continue;
    if (masker != kNone && masker >= producer) continue;
    Node& gradient = graph.nodes[producer];
    if (!takes_mask(gradient)) continue;
    gradient.inputs.resize(3, kNone);
    gradient.inputs[2] = mask;
    gradient.outputs = std::move(mask_grad.outputs);
    mask_grad.outputs.clear();
  }
  std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
  graph.index();
}

}  // namespace attune
