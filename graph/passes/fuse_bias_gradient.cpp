#include "graph/passes/passes.h"

namespace attune {
namespace {

bool sums_all_but_last(const Graph& graph, const Node& reduce) {
  if (reduce.as<ReduceAttrs>().mean) return false;
  Shape sum = graph.shape(reduce.inputs[0]);
  if (sum.rank == 0) return false;
  for (int i = 0; i + 1 < sum.rank; ++i) sum[i] = 1;
  return graph.shape(reduce.outputs[0]) == sum;
}

}  // namespace

void fuse_bias_gradient(Graph& graph) {
  graph.index();
  for (Node& reduce : graph.nodes) {
    if (reduce.op != Op::reduce || !sums_all_but_last(graph, reduce)) continue;
    const NodeId producer = graph.value(reduce.inputs[0]).producer;
    if (producer == kNone) continue;
    Node& mask_grad = graph.nodes[producer];
    if (mask_grad.op != Op::mask_grad || mask_grad.output(1) != kNone) continue;
    mask_grad.outputs.resize(2, kNone);
    mask_grad.outputs[1] = reduce.outputs[0];
    reduce.outputs.clear();
  }
  std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
  graph.index();
}

}  // namespace attune
