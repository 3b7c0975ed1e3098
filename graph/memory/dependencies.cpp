#include "graph/memory/dependencies.h"

#include <set>

namespace attune {
namespace {

// Also the readers of views of the old value. Rows of it that lie apart are views too, and their
// readers need not wait for each other.
void wait_for_readers(const Graph& graph, const std::vector<std::vector<int>>& readers, ValueId old,
                      int update, std::vector<std::set<int>>* edges) {
  for (int reader : readers[static_cast<size_t>(old)]) {
    if (reader == update) continue;
    (*edges)[static_cast<size_t>(reader)].insert(update);
    const Node& node = graph.nodes[static_cast<size_t>(reader)];
    if (node.op == Op::reshape) wait_for_readers(graph, readers, node.outputs[0], update, edges);
  }
}

}  // namespace

Dependencies::Dependencies(const Graph& graph)
    : after(graph.nodes.size()), waiting_for(graph.nodes.size()) {
  std::vector<std::set<int>> edges(graph.nodes.size());
  std::vector<int> producer(graph.values.size(), -1);
  std::vector<std::vector<int>> readers(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId v : graph.nodes[n].outputs)
      if (v != kNone) producer[static_cast<size_t>(v)] = static_cast<int>(n);
    for (ValueId v : graph.nodes[n].inputs)
      if (v != kNone) readers[static_cast<size_t>(v)].push_back(static_cast<int>(n));
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId v : graph.nodes[n].inputs)
      if (v != kNone && producer[static_cast<size_t>(v)] >= 0)
        edges[static_cast<size_t>(producer[static_cast<size_t>(v)])].insert(static_cast<int>(n));
    for (ValueId v : graph.nodes[n].outputs) {
      if (v == kNone || graph.value(v).updates == kNone) continue;
      const ValueId old = graph.value(v).updates;
      wait_for_readers(graph, readers, old, static_cast<int>(n), &edges);
      if (graph.root(old) != old)
        wait_for_readers(graph, readers, graph.root(old), static_cast<int>(n), &edges);
    }
  }
  for (size_t n = 0; n < edges.size(); ++n)
    for (int m : edges[n]) {
      after[n].push_back(m);
      ++waiting_for[static_cast<size_t>(m)];
    }
}

}  // namespace attune
