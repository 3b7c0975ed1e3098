#include "graph/memory/memory_plan.h"

#include <algorithm>

#include "graph/memory/order_search.h"
#include "graph/memory/packing.h"
#include "graph/memory/packing_bound.h"

namespace attune {
namespace {

// Orders that are tried: fewer of many storages, as placing them takes time.
constexpr size_t kMostTries = 4000, kMostPlaced = 8'000'000, kThoroughly = 6;

}  // namespace

MemoryPlan plan_memory(const Graph& graph, PackEffort effort, int64_t enough) {
  const int steps = static_cast<int>(graph.nodes.size());
  MemoryPlan plan;
  plan.storage = assign_storage(graph);
  const auto& storages = plan.storage.storages;
  const std::vector<int64_t> live = plan.storage.live_bytes(steps);
  plan.lower_bound = *std::max_element(live.begin(), live.end());
  plan.offsets.assign(storages.size(), -1);

  std::vector<int> items;
  for (size_t s = 0; s < storages.size(); ++s)
    if (storages[s].in_arena) items.push_back(static_cast<int>(s));
  if (items.empty()) return plan;
  Packing packing(storages, items);
  OrderSearch search(packing, live);
  if (effort != PackEffort::quick && search.best().bytes > plan.lower_bound) {
    plan.lower_bound = packing_bound(plan.storage, steps, search.best().bytes);
    const size_t tries = std::min(kMostTries, kMostPlaced / items.size());
    search.run(std::max(plan.lower_bound, enough),
               effort == PackEffort::thorough ? kThoroughly * tries : tries);
  }
  plan.arena_bytes = search.best().bytes;
  for (size_t i = 0; i < items.size(); ++i)
    plan.offsets[static_cast<size_t>(items[i])] = search.best().offsets[i];
  return plan;
}

bool fits(const Graph& graph, int64_t bytes) {
  const MemoryPlan quick = plan_memory(graph, PackEffort::quick);
  if (quick.arena_bytes <= bytes) return true;
  return quick.lower_bound <= bytes && plan_memory(graph).arena_bytes <= bytes;
}

}  // namespace attune
