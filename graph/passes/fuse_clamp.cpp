#include "graph/passes/passes.h"

namespace attune {
namespace {

template <class A>
void set_clamp(Node& layer, const ClampAttrs& clamp) {
  auto& attrs = std::get<A>(layer.attrs);
  attrs.clamp_min = clamp.min;
  attrs.clamp_max = clamp.max;
}

}  // namespace

void fuse_clamp(Graph& graph) {
  graph.index();
  const auto readers = graph.readers();
  for (Node& clamp : graph.nodes) {
    if (clamp.op != Op::clamp) continue;
    const ValueId x = clamp.inputs[0];
    const NodeId producer = graph.value(x).producer;
    if (producer == kNone || readers[x].size() != 1 || graph.is_output(x)) continue;
    Node& layer = graph.nodes[producer];
    if (layer.output(1) != kNone) continue;
    if (layer.op == Op::linear) {
      if (layer.as<LinearAttrs>().clamps()) continue;
      set_clamp<LinearAttrs>(layer, clamp.as<ClampAttrs>());
    } else if (layer.op == Op::conv2d || layer.op == Op::depthwise_conv2d) {
      if (layer.as<Conv2dAttrs>().clamps()) continue;
      set_clamp<Conv2dAttrs>(layer, clamp.as<ClampAttrs>());
    } else {
      continue;
    }
    layer.outputs = std::move(clamp.outputs);
    clamp.outputs.clear();
  }
  std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
  graph.index();
}

}  // namespace attune
