#include <algorithm>
#include <set>
#include <tuple>

#include "graph/memory/dependencies.h"
#include "graph/memory/lower_peak.h"
#include "graph/memory/storage.h"
#include "graph/passes/passes.h"

namespace attune {
namespace {

// The most bytes alive, then the most behind the loss: what comes later (tiling) may lower the peak
// of the forward pass.
using Peak = std::pair<int64_t, int64_t>;

Peak peak(const Graph& graph) {
  return {assign_storage(graph).lower_bound(static_cast<int>(graph.nodes.size())),
          peak_behind_loss(graph)};
}

// Bytes that running a node now would add: outputs come alive, inputs read for the last time go.
class LiveBytes {
 public:
  explicit LiveBytes(const Graph& graph) : graph_(graph), reads_(graph.values.size()) {
    for (const Node& node : graph.nodes)
      for (ValueId v : node.inputs)
        if (v != kNone) ++reads_[static_cast<size_t>(v)];
    for (const Port& port : graph.outputs) ++reads_[static_cast<size_t>(port.value)];
  }

  int64_t change(const Node& node) const {
    int64_t bytes = 0;
    for (ValueId v : node.outputs)
      if (v != kNone && graph_.value(v).updates == kNone) bytes += bytes_of(v);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (v == kNone || !counted(v)) continue;
      const auto uses = std::count(node.inputs.begin(), node.inputs.end(), v);
      const bool first = std::find(node.inputs.begin(), node.inputs.end(), v) ==
                         node.inputs.begin() + static_cast<std::ptrdiff_t>(i);
      if (first && reads_[static_cast<size_t>(v)] == uses) bytes -= bytes_of(v);
    }
    return bytes;
  }
  void run(const Node& node) {
    for (ValueId v : node.inputs)
      if (v != kNone) --reads_[static_cast<size_t>(v)];
  }

 private:
  bool counted(ValueId v) const {
    return graph_.value(v).role == Role::temporary || graph_.value(v).role == Role::input;
  }
  int64_t bytes_of(ValueId v) const {
    const Value& value = graph_.value(v);
    return static_cast<int64_t>(
        dtype_bytes(value.dtype, static_cast<size_t>(value.shape.elements())));
  }
  const Graph& graph_;
  std::vector<int64_t> reads_;
};

// Runs, of the nodes that are ready, the one that `prefer` ranks lowest.
template <class Prefer>
std::vector<int> list_schedule(const Graph& graph, const Dependencies& dependencies,
                               Prefer prefer) {
  std::vector<int> waiting = dependencies.waiting_for;
  std::set<int> ready;
  for (size_t n = 0; n < waiting.size(); ++n)
    if (waiting[n] == 0) ready.insert(static_cast<int>(n));
  LiveBytes live(graph);
  std::vector<int> order;
  while (!ready.empty()) {
    const int chosen = *std::min_element(ready.begin(), ready.end(), [&](int a, int b) {
      return prefer(live, a) < prefer(live, b);
    });
    ready.erase(chosen);
    order.push_back(chosen);
    live.run(graph.nodes[static_cast<size_t>(chosen)]);
    for (int next : dependencies.after[static_cast<size_t>(chosen)])
      if (--waiting[static_cast<size_t>(next)] == 0) ready.insert(next);
  }
  return order;
}

}  // namespace

void schedule(Graph& graph) {
  graph.index();
  const Dependencies dependencies(graph);
  using Rank = std::tuple<int64_t, int64_t, int>;
  // Updates as soon as they may run, all else in the order given.
  const auto eager_updates = [&](const LiveBytes&, int n) {
    const bool update = op_info(graph.nodes[static_cast<size_t>(n)].op).kind == OpKind::update;
    return Rank{update ? 0 : 1, n, n};
  };
  // What frees memory first; what takes it in the order given.
  const auto freeing_first = [&](const LiveBytes& live, int n) {
    const int64_t change = live.change(graph.nodes[static_cast<size_t>(n)]);
    return Rank{change <= 0 ? 0 : 1, n, n};
  };
  // The smallest growth first.
  const auto smallest_first = [&](const LiveBytes& live, int n) {
    return Rank{live.change(graph.nodes[static_cast<size_t>(n)]), n, n};
  };

  Peak best = {INT64_MAX, INT64_MAX};
  std::vector<Node> best_nodes;
  const auto consider = [&](const std::vector<int>& order) {
    Graph candidate = graph;
    candidate.nodes.clear();
    for (int n : order) candidate.nodes.push_back(graph.nodes[static_cast<size_t>(n)]);
    const Peak bytes = peak(candidate);
    if (bytes < best) best = bytes, best_nodes = std::move(candidate.nodes);
  };
  consider(list_schedule(graph, dependencies, eager_updates));
  consider(list_schedule(graph, dependencies, freeing_first));
  consider(list_schedule(graph, dependencies, smallest_first));
  graph.nodes = std::move(best_nodes);
  lower_peak(graph);
  graph.index();
}

}  // namespace attune
