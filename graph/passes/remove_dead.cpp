#include "graph/passes/passes.h"

namespace attune {

void remove_dead(Graph& graph) {
  std::vector<bool> read(graph.values.size(), false);
  for (const Port& port : graph.outputs) read[port.value] = true;
  std::vector<bool> live(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    live[i] = op_info(node.op).kind == OpKind::update;
    for (ValueId id : node.outputs) live[i] = live[i] || (id != kNone && read[id]);
    if (!live[i]) continue;
    for (ValueId id : node.inputs)
      if (id != kNone) read[id] = true;
  }

  std::vector<Node> nodes;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!live[i]) continue;
    Node& node = nodes.emplace_back(std::move(graph.nodes[i]));
    if (op_info(node.op).kind == OpKind::update) continue;
    // Outputs after the first are optional. Nobody reads these any more.
    for (size_t k = 1; k < node.outputs.size(); ++k)
      if (node.outputs[k] != kNone && !read[node.outputs[k]]) node.outputs[k] = kNone;
    while (node.outputs.size() > 1 && node.outputs.back() == kNone) node.outputs.pop_back();
  }
  graph.nodes = std::move(nodes);
  graph.index();
}

}  // namespace attune
