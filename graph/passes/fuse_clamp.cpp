#include <variant>

#include "graph/passes/passes.h"

namespace attune {
namespace {

// Gives a layer that may clamp its output, and does not yet, this clamp. False where it is none.
bool take_clamp(Node& layer, const ClampAttrs& clamp) {
  return std::visit(
      [&](auto& attrs) {
        if constexpr (requires { attrs.clamps(); }) {
          if (attrs.clamps()) return false;
          attrs.clamp_min = clamp.min;
          attrs.clamp_max = clamp.max;
          return true;
        }
        return false;
      },
      layer.attrs);
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
    if (op_info(layer.op).kind != OpKind::forward || layer.output(1) != kNone) continue;
    if (!take_clamp(layer, clamp.as<ClampAttrs>())) continue;
    layer.outputs = std::move(clamp.outputs);
    clamp.outputs.clear();
  }
  std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
  graph.index();
}

}  // namespace attune
