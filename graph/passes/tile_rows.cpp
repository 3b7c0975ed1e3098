#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "graph/memory_plan.h"
#include "graph/passes/passes.h"
#include "graph/row_stream.h"
#include "graph/storage.h"
#include "graph/strip_emitter.h"

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
      if (rule && candidates[p] && (!rule->from_rows[i] || rule->axis != 1)) may = false;
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

struct Choice {
  NodeId end = kNone;
  std::vector<int> rows;       // by the region's node
  int64_t peak = INT64_MAX;    // expected
  int64_t around = INT64_MAX;  // before and after the region, which no strips change
  size_t strips = 0;
};

// Looks for a region and its strips.
class Chooser {
 public:
  // `arena`: bytes without strips. `room`: how many times its bytes a region takes when packed.
  Chooser(const Graph& graph, int64_t arena, int64_t budget, double room)
      : graph_(graph), budget_(budget), room_(room), candidates_(find_candidates(graph)) {
    const int steps = static_cast<int>(graph.nodes.size());
    storage_ = assign_storage(graph);
    live_ = storage_.live_bytes(steps);
    best_.peak = arena;
  }

  // An end of kNone: nothing is gained.
  Choice choose() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (candidates_[n]) consider_end(static_cast<NodeId>(n));
    if (best_.end != kNone) refine();
    return best_;
  }

 private:
  // What the graph takes while the region does not run, and what others take while it does.
  struct Around {
    int64_t peak = 0, aside = 0;
  };

  Around around(const RowRegion& region) const {
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

  // Whether this is better than the best so far; then it is the best.
  bool consider(const RowRegion& region, const Around& around, std::vector<int> rows) {
    const std::vector<Strip> strips = stream(region, rows);
    const double bytes = room_ * static_cast<double>(stream_bytes(region, strips));
    const int64_t peak =
        std::max({around.peak, around.aside + static_cast<int64_t>(bytes), budget_});
    if (std::tuple(peak, strips.size()) >= std::tuple(std::max(best_.peak, budget_), best_.strips))
      return false;
    best_ = {region.nodes.back().id, std::move(rows), peak, around.peak, strips.size()};
    return true;
  }

  void consider_end(NodeId end) {
    const RowRegion region = row_region(graph_, candidates_, end);
    const Around outside = around(region);
    if (outside.peak > best_.peak) return;
    const int end_height = region.images[static_cast<size_t>(region.nodes.back().output)].height;
    int most = 1;
    for (const RowImage& image : region.images) most = std::max(most, image.height);
    for (int count = 1; count < most; count *= 2) {
      std::vector<int> alike, in_step;
      for (const RowNode& node : region.nodes) {
        const int height = region.images[static_cast<size_t>(node.output)].height;
        alike.push_back(count);
        in_step.push_back(std::max(1, static_cast<int>(int64_t{count} * height / end_height)));
      }
      consider(region, outside, std::move(alike));
      if (count < end_height) consider(region, outside, std::move(in_step));
    }
  }

  // Makes more rows at once, for all images of a height, while that does no harm.
  void refine() {
    const RowRegion region = row_region(graph_, candidates_, best_.end);
    const Around outside = around(region);
    std::set<int> heights;
    for (const RowNode& node : region.nodes)
      heights.insert(region.images[static_cast<size_t>(node.output)].height);
    for (bool better = true; better;) {
      better = false;
      for (int height : heights) {
        std::vector<int> rows = best_.rows;
        bool possible = false;
        for (size_t n = 0; n < rows.size(); ++n)
          if (region.images[static_cast<size_t>(region.nodes[n].output)].height == height &&
              rows[n] < height) {
            rows[n] *= 2;
            possible = true;
          }
        if (possible && consider(region, outside, std::move(rows))) better = true;
      }
    }
  }

  const Graph& graph_;
  const int64_t budget_;
  const double room_;
  const std::vector<bool> candidates_;
  StorageMap storage_;
  std::vector<int64_t> live_;
  Choice best_;
};

// Tries for each image where its rows may wait, in the order of their size, and keeps what packs
// best.
Graph best_packed(const Graph& graph, const RowRegion& region, const std::vector<Strip>& strips,
                  int64_t* best) {
  std::vector<Waits> waits(region.images.size(), Waits::at_end);
  Graph result;
  std::vector<int> images = waiting_images(region, strips);
  std::stable_sort(images.begin(), images.end(), [&](int a, int b) {
    return region.images[static_cast<size_t>(a)].row_bytes >
           region.images[static_cast<size_t>(b)].row_bytes;
  });
  const auto consider = [&](const std::vector<Waits>& candidate) {
    Graph tiled = with_strips(graph, region, strips, candidate);
    const int64_t bytes = plan_memory(tiled, PackEffort::quick).arena_bytes;
    if (bytes >= *best) return false;
    *best = bytes, result = std::move(tiled), waits = candidate;
    return true;
  };
  for (const Waits all : kAllWaits) consider(std::vector<Waits>(waits.size(), all));
  for (bool better = true; better;) {
    better = false;
    for (int i : images)
      for (const Waits where : kAllWaits) {
        std::vector<Waits> candidate = waits;
        if (candidate[static_cast<size_t>(i)] == where) continue;
        candidate[static_cast<size_t>(i)] = where;
        better |= consider(candidate);
      }
  }
  return result;
}

}  // namespace

bool tile_rows(Graph& graph, int64_t budget_bytes) {
  graph.index();
  if (fits(graph, budget_bytes)) return false;
  const int64_t arena = plan_memory(graph, PackEffort::quick).arena_bytes;
  int64_t best = arena;
  bool tiled = false;
  Graph untiled = graph;
  // What packing wastes shows afterwards: first less and less for the fewest strips within the
  // budget, then for the smallest peak.
  std::vector<std::pair<int64_t, double>> tries;
  if (budget_bytes > 0)
    for (const double share : {1.0, 0.92, 0.84, 0.76, 0.68, 0.6})
      tries.push_back({static_cast<int64_t>(share * static_cast<double>(budget_bytes)), 1.0});
  for (const double room : {1.0, 1.08, 1.16, 1.25, 1.4}) tries.push_back({0, room});
  for (const auto& [budget, room] : tries) {
    if (best <= budget_bytes) break;
    const Choice choice = Chooser(untiled, arena, budget, room).choose();
    if (choice.end == kNone) continue;
    const RowRegion region = row_region(untiled, find_candidates(untiled), choice.end);
    Graph packed = best_packed(untiled, region, stream(region, choice.rows), &best);
    if (!packed.nodes.empty()) graph = std::move(packed), tiled = true;
    if (budget == 0 && best <= choice.around) break;
  }
  return tiled;
}

}  // namespace attune
