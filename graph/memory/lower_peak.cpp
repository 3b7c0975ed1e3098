#include "graph/memory/lower_peak.h"

#include <algorithm>
#include <numeric>

#include "graph/memory/dependencies.h"
#include "graph/memory/storage.h"

namespace attune {
namespace {

// Orders that are judged: fewer of large graphs, as judging one takes time by its nodes and by the
// ranges of its storages.
constexpr size_t kMaxJudged = 4000, kMaxWork = 3'000'000;

class Search {
 public:
  explicit Search(const Graph& graph)
      : graph_(graph), dependencies_(graph), order_(graph.nodes.size()) {
    before_.resize(order_.size());
    for (size_t n = 0; n < order_.size(); ++n)
      for (int m : dependencies_.after[n])
        before_[static_cast<size_t>(m)].push_back(static_cast<int>(n));
    std::iota(order_.begin(), order_.end(), 0);
    best_ = judge(order_);
  }

  // The best order found.
  std::vector<int> run() {
    // Where the highest peak cannot be lowered, lower ones are worth it: what comes later (tiling)
    // may take the higher ones away.
    for (size_t rank = 0; rank < best_.size() && judged_ < kMaxJudged && work_ < kMaxWork;)
      rank = improve(rank) ? 0 : rank + 1;
    return std::move(order_);
  }

 private:
  using Order = std::vector<int>;
  // Bytes alive, and the step, where they are the most for a while; the most first.
  struct Peak {
    int64_t bytes;
    int step;
    friend bool operator<(const Peak& a, const Peak& b) { return a.bytes < b.bytes; }
  };
  using Peaks = std::vector<Peak>;

  Peaks judge(const Order& order) {
    storage_ = assign_storage(graph_, order);
    live_ = storage_.live_bytes(static_cast<int>(order.size()));
    Peaks peaks;
    for (size_t i = 0; i < live_.size(); ++i)
      if ((i == 0 || live_[i] > live_[i - 1]) &&
          (i + 1 == live_.size() || live_[i] >= live_[i + 1]))
        peaks.push_back({live_[i], static_cast<int>(i) - 1});
    std::stable_sort(peaks.begin(), peaks.end(),
                     [](const Peak& a, const Peak& b) { return b < a; });
    ++judged_;
    work_ += order.size();
    for (const Storage& storage : storage_.storages) work_ += storage.ranges.size();
    return peaks;
  }

  // Makes the best of all moves that change what is alive at the peak of this rank.
  bool improve(size_t rank) {
    judge(order_);
    const int peak = best_[rank].step;
    const int steps = static_cast<int>(order_.size());
    if (peak < 0 || peak >= steps) return false;
    Peaks best = best_;
    Order best_order;
    const auto consider = [&](const Order& order) {
      if (order.empty()) return;
      const Peaks peaks = judge(order);
      if (peaks < best) best = peaks, best_order = order;
    };
    const auto [makers, readers] = around(peak);
    for (int step : makers)
      for (int distance = 1; step + distance < steps; distance += std::max(1, distance / 2))
        consider(postponed(step, step + distance));
    for (int step : readers) consider(advanced(step, peak));
    if (best_order.empty()) return false;
    best_ = best, order_ = std::move(best_order);
    return true;
  }

  // Steps that make what is alive at the peak but not for long, and steps that read something alive
  // there for the last time; those of the most bytes.
  std::pair<std::vector<int>, std::vector<int>> around(int peak) const {
    std::vector<std::pair<int64_t, int>> makers, readers;
    for (const Storage& storage : storage_.storages) {
      if (!storage.in_arena || storage.life.first > peak || storage.life.last < peak) continue;
      if (storage.life.first >= 0) makers.push_back({-storage.bytes, storage.life.first});
      if (storage.life.last < static_cast<int>(order_.size()) && storage.life.last > peak)
        readers.push_back({-storage.bytes, storage.life.last});
    }
    makers.push_back({INT64_MIN, peak});
    const auto steps_of = [](std::vector<std::pair<int64_t, int>> found) {
      constexpr size_t kMost = 6;
      std::sort(found.begin(), found.end());
      std::vector<int> steps;
      for (const auto& [bytes, step] : found)
        if (steps.size() < kMost && std::find(steps.begin(), steps.end(), step) == steps.end())
          steps.push_back(step);
      return steps;
    };
    return {steps_of(makers), steps_of(readers)};
  }

  // The step at `from`, and what depends on it, behind the step at `to`. Empty: nothing is left to
  // go ahead of it.
  Order postponed(int from, int to) const {
    std::vector<bool> waits(order_.size());
    waits[static_cast<size_t>(order_[static_cast<size_t>(from)])] = true;
    Order order(order_.begin(), order_.begin() + from), behind;
    for (int i = from; i <= to; ++i) {
      const int n = order_[static_cast<size_t>(i)];
      if (waits[static_cast<size_t>(n)]) {
        behind.push_back(n);
        for (int m : dependencies_.after[static_cast<size_t>(n)])
          waits[static_cast<size_t>(m)] = true;
      } else {
        order.push_back(n);
      }
    }
    if (order.size() == static_cast<size_t>(from)) return {};
    order.insert(order.end(), behind.begin(), behind.end());
    order.insert(order.end(), order_.begin() + to + 1, order_.end());
    return order;
  }

  // The step at `from`, and what it depends on, ahead of the step at `to`. Empty: not without that
  // step itself.
  Order advanced(int from, int to) const {
    std::vector<bool> needed(order_.size());
    needed[static_cast<size_t>(order_[static_cast<size_t>(from)])] = true;
    Order ahead, rest;
    for (int i = from; i >= to; --i) {
      const int n = order_[static_cast<size_t>(i)];
      if (needed[static_cast<size_t>(n)]) {
        if (i == to) return {};
        ahead.push_back(n);
        for (int m : before_[static_cast<size_t>(n)]) needed[static_cast<size_t>(m)] = true;
      } else {
        rest.push_back(n);
      }
    }
    Order order(order_.begin(), order_.begin() + to);
    order.insert(order.end(), ahead.rbegin(), ahead.rend());
    order.insert(order.end(), rest.rbegin(), rest.rend());
    order.insert(order.end(), order_.begin() + from + 1, order_.end());
    return order;
  }

  const Graph& graph_;
  const Dependencies dependencies_;
  std::vector<std::vector<int>> before_;  // by node: those it waits for
  Order order_;
  StorageMap storage_;  // of the order judged last
  std::vector<int64_t> live_;
  Peaks best_;
  size_t judged_ = 0, work_ = 0;
};

}  // namespace

void lower_peak(Graph& graph) {
  if (graph.nodes.empty()) return;
  std::vector<Node> nodes;
  for (int n : Search(graph).run()) nodes.push_back(std::move(graph.nodes[static_cast<size_t>(n)]));
  graph.nodes = std::move(nodes);
}

int64_t peak_behind_loss(const Graph& graph) {
  const auto loss = std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return op_info(node.op).kind == OpKind::loss;
  });
  if (loss == graph.nodes.end()) return 0;
  const std::vector<int64_t> live =
      assign_storage(graph).live_bytes(static_cast<int>(graph.nodes.size()));
  // Entry 0 is before the first step.
  return *std::max_element(live.begin() + (loss - graph.nodes.begin()) + 1, live.end());
}

}  // namespace attune
