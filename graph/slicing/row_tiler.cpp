#include "graph/slicing/row_tiler.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "graph/passes/passes.h"

namespace attune {
namespace {

// More than so many strips of a value would be more steps than they gain.
constexpr int kMostStrips = 256;

std::vector<int64_t> live_bytes(const StorageMap& storage, const Graph& graph) {
  return storage.live_bytes(static_cast<int>(graph.nodes.size()));
}

}  // namespace

struct RowTiler::Choice {
  NodeId end = kNone;          // kNone: nothing is gained
  std::vector<int> rows;       // by the region's node
  int64_t peak = INT64_MAX;    // expected
  int64_t around = INT64_MAX;  // before and after the region, which no strips change
  size_t strips = 0;
};

// Looks for a region and its strips on a model of the live bytes.
class RowTiler::Chooser {
 public:
  // `arena`: bytes without strips. `room`: how many times its bytes a region takes when packed.
  Chooser(RowTiler& tiler, int64_t arena, int64_t budget, double room)
      : tiler_(tiler), budget_(budget), room_(room) {
    best_.peak = arena;
  }

  Choice choose() {
    for (size_t n = 0; n < tiler_.rules_.size(); ++n)
      if (tiler_.rules_[n] && tiler_.graph_.nodes[n].op != Op::reshape)
        consider_end(static_cast<NodeId>(n));
    if (best_.end != kNone) refine();
    return best_;
  }

 private:
  // Whether this is better than the best so far; then it is the best.
  bool consider(End& end, std::vector<int> rows) {
    const Tiling& tiling = tiler_.tiling(end, rows);
    const double bytes = room_ * static_cast<double>(tiling.bytes);
    const int64_t peak =
        std::max({end.around.peak, end.around.aside + static_cast<int64_t>(bytes), budget_});
    if (std::tuple(peak, tiling.strips.size()) >=
        std::tuple(std::max(best_.peak, budget_), best_.strips))
      return false;
    best_ = {end.region.nodes.back().id, std::move(rows), peak, end.around.peak,
             tiling.strips.size()};
    return true;
  }

  void consider_end(NodeId node) {
    End& end = tiler_.end_at(node);
    if (end.around.peak > best_.peak) return;
    const auto& nodes = end.region.nodes;
    const int end_rows = end.region.rows(nodes.back());
    int most = 1;
    for (const CutValue& value : end.region.values) most = std::max(most, value.rows);
    for (int count = 1; count < most; count *= 2) {
      std::vector<int> alike, in_step;
      for (const CutNode& n : nodes) {
        alike.push_back(count);
        in_step.push_back(
            std::max(1, static_cast<int>(int64_t{count} * end.region.rows(n) / end_rows)));
      }
      if (most <= count * kMostStrips) consider(end, std::move(alike));
      if (count < end_rows && end_rows <= count * kMostStrips) consider(end, std::move(in_step));
    }
  }

  // Makes more rows at once, for all values of as many rows, while that does no harm.
  void refine() {
    End& end = tiler_.end_at(best_.end);
    const auto& nodes = end.region.nodes;
    std::set<int> sizes;
    for (const CutNode& node : nodes) sizes.insert(end.region.rows(node));
    for (bool better = true; better;) {
      better = false;
      for (int size : sizes) {
        std::vector<int> rows = best_.rows;
        bool possible = false;
        for (size_t n = 0; n < rows.size(); ++n)
          if (end.region.rows(nodes[n]) == size && rows[n] < size) {
            rows[n] *= 2;
            possible = true;
          }
        if (possible && consider(end, std::move(rows))) better = true;
      }
    }
  }

  RowTiler& tiler_;
  const int64_t budget_;
  const double room_;
  Choice best_;
};

RowTiler::RowTiler(std::shared_ptr<PackedGraph> graph)
    : packed_(std::move(graph)),
      graph_(packed_->graph()),
      rules_(find_row_rules(graph_)),
      dependencies_(graph_),
      storage_(assign_storage(graph_)),
      live_(live_bytes(storage_, graph_)) {}

RowTiler::~RowTiler() = default;

RowTiler::End& RowTiler::end_at(NodeId node) {
  const auto [found, is_new] = ends_.try_emplace(node);
  End& end = found->second;
  if (is_new) {
    end.region = row_region(graph_, rules_, node);
    end.around = around(end.region);
  }
  return end;
}

RowTiler::Around RowTiler::around(const Region& region) const {
  Around result;
  const int first = region.nodes.front().id, last = region.nodes.back().id;
  for (size_t i = 0; i < live_.size(); ++i)  // entry i: step i - 1
    if (static_cast<int>(i) - 1 < first || static_cast<int>(i) - 1 > last)
      result.peak = std::max(result.peak, live_[i]);
  std::vector<bool> ours(storage_.storages.size());
  for (const CutValue& value : region.values)
    ours[static_cast<size_t>(storage_.of_value[static_cast<size_t>(value.value)])] = true;
  for (size_t s = 0; s < storage_.storages.size(); ++s) {
    const Storage& storage = storage_.storages[s];
    if (storage.in_arena && !ours[s] && storage.life.first <= last && storage.life.last >= first)
      result.aside += storage.bytes;
  }
  return result;
}

RowTiler::Tiling& RowTiler::tiling(End& end, const std::vector<int>& rows) {
  const auto [found, is_new] = end.tilings.try_emplace(rows);
  Tiling& tiling = found->second;
  if (is_new) {
    tiling.strips = stream(end.region, rows);
    tiling.bytes = stream_bytes(end.region, tiling.strips);
  }
  return tiling;
}

Graph RowTiler::with_strips(const End& end, const Tiling& tiling,
                            const std::vector<Waits>& waits) const {
  return in_pieces(graph_, dependencies_, end.region, {{tiling.strips, end.region.nodes.back().id}},
                   waits, "rows");
}

int64_t RowTiler::arena_bytes(const End& end, Tiling& tiling, const std::vector<Waits>& waits) {
  const auto [found, is_new] = tiling.arenas.try_emplace(waits);
  if (is_new)
    found->second = plan_memory(with_strips(end, tiling, waits), PackEffort::quick).arena_bytes;
  return found->second;
}

// Tries for each value where its rows may wait, in the order of their size, and keeps what packs
// best; nothing where that is no better than `best`.
std::optional<std::vector<Waits>> RowTiler::best_waits(const End& end, Tiling& tiling,
                                                       int64_t* best) {
  std::vector<int> waiting = waiting_values(end.region, tiling.strips);
  std::stable_sort(waiting.begin(), waiting.end(), [&](int a, int b) {
    return end.region.value(a).row_bytes > end.region.value(b).row_bytes;
  });
  std::vector<Waits> waits(end.region.values.size(), Waits::at_end);
  bool found = false;
  const auto consider = [&](const std::vector<Waits>& candidate) {
    const int64_t bytes = arena_bytes(end, tiling, candidate);
    if (bytes >= *best) return false;
    *best = bytes, waits = candidate, found = true;
    return true;
  };
  for (const Waits all : kAllWaits) consider(std::vector<Waits>(waits.size(), all));
  for (bool better = true; better;) {
    better = false;
    for (int i : waiting)
      for (const Waits where : kAllWaits) {
        std::vector<Waits> candidate = waits;
        if (candidate[static_cast<size_t>(i)] == where) continue;
        candidate[static_cast<size_t>(i)] = where;
        better |= consider(candidate);
      }
  }
  return found ? std::optional(waits) : std::nullopt;
}

std::shared_ptr<PackedGraph> RowTiler::packed(const End& end, Tiling& tiling,
                                              const std::vector<Waits>& waits) {
  auto& packed = tiling.packed[waits];
  if (!packed) packed = std::make_shared<PackedGraph>(with_strips(end, tiling, waits));
  return packed;
}

std::shared_ptr<PackedGraph> RowTiler::tiled(int64_t budget_bytes) {
  if (packed_->fits(budget_bytes)) return nullptr;
  const int64_t arena = packed_->quick().arena_bytes;
  int64_t best = arena;
  std::shared_ptr<PackedGraph> result;
  // What packing wastes shows afterwards: first less and less for the fewest strips within the
  // budget, then for the smallest peak.
  std::vector<std::pair<int64_t, double>> tries;
  if (budget_bytes > 0)
    for (const double share : {1.0, 0.92, 0.84, 0.76, 0.68, 0.6})
      tries.push_back({static_cast<int64_t>(share * static_cast<double>(budget_bytes)), 1.0});
  for (const double room : {1.0, 1.08, 1.16, 1.25, 1.4}) tries.push_back({0, room});
  for (const auto& [budget, room] : tries) {
    if (best <= budget_bytes) break;
    const Choice choice = Chooser(*this, arena, budget, room).choose();
    if (choice.end == kNone) continue;
    End& chosen = end_at(choice.end);
    Tiling& strips = tiling(chosen, choice.rows);
    if (const auto waits = best_waits(chosen, strips, &best))
      result = packed(chosen, strips, *waits);
    if (budget == 0 && best <= choice.around) break;
  }
  return result;
}

bool tile_rows(Graph& graph, int64_t budget_bytes) {
  graph.index();
  const auto tiled = RowTiler(std::make_shared<PackedGraph>(graph)).tiled(budget_bytes);
  if (!tiled) return false;
  graph = tiled->graph();
  return true;
}

}  // namespace attune
