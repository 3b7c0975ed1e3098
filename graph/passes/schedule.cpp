#include <algorithm>
#include <set>
#include <utility>
#include <vector>

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
  explicit LiveBytes(const Graph& graph) : graph_(graph), left_(graph.values.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      for (ValueId v : distinct(graph.nodes[n].inputs)) left_[static_cast<size_t>(v)].add(n);
    // Its caller reads it in the end.
    for (const Port& port : graph.outputs)
      left_[static_cast<size_t>(port.value)].add(graph.nodes.size());
  }

  int64_t change(int n) const {
    const Node& node = graph_.nodes[static_cast<size_t>(n)];
    int64_t bytes = 0;
    for (ValueId v : node.outputs)
      if (v != kNone && graph_.value(v).updates == kNone) bytes += graph_.value(v).bytes();
    for (ValueId v : distinct(node.inputs))
      if (counted(v) && left_[static_cast<size_t>(v)].count == 1) bytes -= graph_.value(v).bytes();
    return bytes;
  }

  // Runs a node. Returns those that now are the last to read something.
  std::vector<int> run(int n) {
    std::vector<int> last;
    for (ValueId v : distinct(graph_.nodes[static_cast<size_t>(n)].inputs)) {
      Readers& left = left_[static_cast<size_t>(v)];
      left.remove(static_cast<size_t>(n));
      if (left.count == 1 && left.sum < graph_.nodes.size())
        last.push_back(static_cast<int>(left.sum));
    }
    return last;
  }

 private:
  // Nodes that still have to read a value; of one left, the sum tells which.
  struct Readers {
    size_t count = 0, sum = 0;
    void add(size_t n) { ++count, sum += n; }
    void remove(size_t n) { --count, sum -= n; }
  };

  static std::vector<ValueId> distinct(std::vector<ValueId> ids) {
    std::erase(ids, kNone);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }
  bool counted(ValueId v) const {
    return graph_.value(v).role == Role::temporary || graph_.value(v).role == Role::input;
  }

  const Graph& graph_;
  std::vector<Readers> left_;  // by value
};

// Runs, of the nodes that are ready, the one of the lowest rank; of those alike, the first.
template <class RankOf>
std::vector<int> list_schedule(const Graph& graph, const Dependencies& dependencies,
                               RankOf rank_of) {
  std::vector<int> waiting = dependencies.waiting_for;
  LiveBytes live(graph);
  std::vector<int64_t> ranks(waiting.size());
  std::set<std::pair<int64_t, int>> ready;
  const auto add = [&](int n) {
    const int64_t rank = ranks[static_cast<size_t>(n)] = rank_of(live, n);
    ready.insert({rank, n});
  };
  for (size_t n = 0; n < waiting.size(); ++n)
    if (waiting[n] == 0) add(static_cast<int>(n));
  std::vector<int> order;
  while (!ready.empty()) {
    const int chosen = ready.begin()->second;
    ready.erase(ready.begin());
    order.push_back(chosen);
    for (int n : live.run(chosen))
      if (ready.erase({ranks[static_cast<size_t>(n)], n}) > 0) add(n);
    for (int next : dependencies.after[static_cast<size_t>(chosen)])
      if (--waiting[static_cast<size_t>(next)] == 0) add(next);
  }
  return order;
}

}  // namespace

void schedule(Graph& graph) {
  graph.index();
  const Dependencies dependencies(graph);
  // Updates as soon as they may run, all else in the order given.
  const auto eager_updates = [&](const LiveBytes&, int n) {
    return op_info(graph.nodes[static_cast<size_t>(n)].op).kind == OpKind::update ? 0 : 1;
  };
  // What frees memory first; what takes it in the order given.
  const auto freeing_first = [&](const LiveBytes& live, int n) {
    return live.change(n) <= 0 ? 0 : 1;
  };
  // The smallest growth first.
  const auto smallest_first = [&](const LiveBytes& live, int n) { return live.change(n); };

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
