#include "graph/slicing/row_tiler.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace attune {
namespace {

// Nodes that may run in strips: what they read in rows is made by others of them, or by nodes that
// depend on none of them.
std::vector<bool> find_candidates(const Graph& graph) {
  std::vector<bool> candidates(graph.nodes.size()), depends(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const auto rule = row_rule(graph, node);
    bool may = rule.has_value();
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      const NodeId producer = v == kNone ? kNone : graph.value(v).producer;
      if (producer == kNone) continue;
      const auto p = static_cast<size_t>(producer);
      if (depends[p] || candidates[p]) depends[n] = true;
      // Whole inputs, and planes of what the region makes, would have to be complete before.
      if (rule && candidates[p] && rule->axes[i] != 1) may = false;
      if (depends[p] && !candidates[p]) may = false;
    }
    candidates[n] = may;
  }
  return candidates;
}

// The graph with the region's nodes replaced by strips.
Graph with_strips(const Graph& graph, const RowRegion& region, const std::vector<Strip>& strips,
                  const std::vector<Waits>& waits) {
  Graph tiled = graph;
  tiled.nodes = graph.nodes;
  std::vector<Node> emitted = emit_strips(tiled, region, strips, waits);
  // What the region reads before it, all else behind it.
  std::vector<bool> inside(graph.nodes.size()), after(graph.nodes.size());
  for (const RowNode& node : region.nodes) inside[static_cast<size_t>(node.id)] = true;
  const NodeId end = region.nodes.back().id;
  std::vector<Node> before, rest;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (inside[n]) continue;
    after[n] = static_cast<NodeId>(n) > end;
    for (ValueId v : graph.nodes[n].inputs)
      if (v != kNone && graph.value(v).producer != kNone) {
        const auto p = static_cast<size_t>(graph.value(v).producer);
        after[n] = after[n] || inside[p] || after[p];
      }
    (after[n] ? rest : before).push_back(graph.nodes[n]);
  }
  tiled.nodes = std::move(before);
  tiled.nodes.insert(tiled.nodes.end(), emitted.begin(), emitted.end());
  tiled.nodes.insert(tiled.nodes.end(), rest.begin(), rest.end());
  tiled.index();
  return tiled;
}

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
    for (size_t n = 0; n < tiler_.candidates_.size(); ++n)
      if (tiler_.candidates_[n]) consider_end(static_cast<NodeId>(n));
    if (best_.end != kNone) refine();
    return best_;
  }

 private:
  // Whether this is better than the best so far; then it is the best.
  bool consider(Region& region, std::vector<int> rows) {
    const Tiling& tiling = tiler_.tiling(region, rows);
    const double bytes = room_ * static_cast<double>(tiling.bytes);
    const int64_t peak =
        std::max({region.around.peak, region.around.aside + static_cast<int64_t>(bytes), budget_});
    if (std::tuple(peak, tiling.strips.size()) >=
        std::tuple(std::max(best_.peak, budget_), best_.strips))
      return false;
    best_ = {region.rows.nodes.back().id, std::move(rows), peak, region.around.peak,
             tiling.strips.size()};
    return true;
  }

  void consider_end(NodeId end) {
    Region& region = tiler_.region(end);
    if (region.around.peak > best_.peak) return;
    const auto& images = region.rows.images;
    const int end_height = images[static_cast<size_t>(region.rows.nodes.back().output)].height;
    int most = 1;
    for (const RowImage& image : images) most = std::max(most, image.height);
    for (int count = 1; count < most; count *= 2) {
      std::vector<int> alike, in_step;
      for (const RowNode& node : region.rows.nodes) {
        const int height = images[static_cast<size_t>(node.output)].height;
        alike.push_back(count);
        in_step.push_back(std::max(1, static_cast<int>(int64_t{count} * height / end_height)));
      }
      consider(region, std::move(alike));
      if (count < end_height) consider(region, std::move(in_step));
    }
  }

  // Makes more rows at once, for all images of a height, while that does no harm.
  void refine() {
    Region& region = tiler_.region(best_.end);
    const auto& nodes = region.rows.nodes;
    const auto height_of = [&](const RowNode& node) {
      return region.rows.images[static_cast<size_t>(node.output)].height;
    };
    std::set<int> heights;
    for (const RowNode& node : nodes) heights.insert(height_of(node));
    for (bool better = true; better;) {
      better = false;
      for (int height : heights) {
        std::vector<int> rows = best_.rows;
        bool possible = false;
        for (size_t n = 0; n < rows.size(); ++n)
          if (height_of(nodes[n]) == height && rows[n] < height) {
            rows[n] *= 2;
            possible = true;
          }
        if (possible && consider(region, std::move(rows))) better = true;
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
      candidates_(find_candidates(graph_)),
      storage_(assign_storage(graph_)),
      live_(live_bytes(storage_, graph_)) {}

RowTiler::~RowTiler() = default;

RowTiler::Region& RowTiler::region(NodeId end) {
  const auto [found, is_new] = regions_.try_emplace(end);
  Region& region = found->second;
  if (is_new) {
    region.rows = row_region(graph_, candidates_, end);
    region.around = around(region.rows);
  }
  return region;
}

RowTiler::Around RowTiler::around(const RowRegion& region) const {
  Around result;
  const int first = region.nodes.front().id, last = region.nodes.back().id;
  for (size_t i = 0; i < live_.size(); ++i)  // entry i: step i - 1
    if (static_cast<int>(i) - 1 < first || static_cast<int>(i) - 1 > last)
      result.peak = std::max(result.peak, live_[i]);
  std::vector<bool> ours(storage_.storages.size());
  for (const RowImage& image : region.images)
    ours[static_cast<size_t>(storage_.of_value[static_cast<size_t>(image.value)])] = true;
  for (size_t s = 0; s < storage_.storages.size(); ++s) {
    const Storage& storage = storage_.storages[s];
    if (storage.in_arena && !ours[s] && storage.life.first <= last && storage.life.last >= first)
      result.aside += storage.bytes;
  }
  return result;
}

RowTiler::Tiling& RowTiler::tiling(Region& region, const std::vector<int>& rows) {
  const auto [found, is_new] = region.tilings.try_emplace(rows);
  Tiling& tiling = found->second;
  if (is_new) {
    tiling.strips = stream(region.rows, rows);
    tiling.bytes = stream_bytes(region.rows, tiling.strips);
  }
  return tiling;
}

int64_t RowTiler::arena_bytes(const Region& region, Tiling& tiling,
                              const std::vector<Waits>& waits) {
  const auto [found, is_new] = tiling.arenas.try_emplace(waits);
  if (is_new)
    found->second =
        plan_memory(with_strips(graph_, region.rows, tiling.strips, waits), PackEffort::quick)
            .arena_bytes;
  return found->second;
}

// Tries for each image where its rows may wait, in the order of their size, and keeps what packs
// best; nothing where that is no better than `best`.
std::optional<std::vector<Waits>> RowTiler::best_waits(const Region& region, Tiling& tiling,
                                                       int64_t* best) {
  const auto& images = region.rows.images;
  std::vector<int> waiting = waiting_images(region.rows, tiling.strips);
  std::stable_sort(waiting.begin(), waiting.end(), [&](int a, int b) {
    return images[static_cast<size_t>(a)].row_bytes > images[static_cast<size_t>(b)].row_bytes;
  });
  std::vector<Waits> waits(images.size(), Waits::at_end);
  bool found = false;
  const auto consider = [&](const std::vector<Waits>& candidate) {
    const int64_t bytes = arena_bytes(region, tiling, candidate);
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

std::shared_ptr<PackedGraph> RowTiler::packed(const Region& region, Tiling& tiling,
                                              const std::vector<Waits>& waits) {
  auto& packed = tiling.packed[waits];
  if (!packed)
    packed = std::make_shared<PackedGraph>(with_strips(graph_, region.rows, tiling.strips, waits));
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
    Region& chosen = region(choice.end);
    Tiling& strips = tiling(chosen, choice.rows);
    if (const auto waits = best_waits(chosen, strips, &best))
      result = packed(chosen, strips, *waits);
    if (budget == 0 && best <= choice.around) break;
  }
  return result;
}

}  // namespace attune
