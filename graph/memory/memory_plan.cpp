#include "graph/memory/memory_plan.h"

#include <algorithm>

#include "graph/memory/first_fit.h"
#include "graph/memory/order_search.h"
#include "graph/memory/packing.h"

namespace attune {
namespace {

// Pairs of storages that a search looks at, in tens of nanoseconds each, and how many times as many
// where it is thorough; with more of them alive together than so many, they are not looked at.
constexpr size_t kWork = 10'000'000, kThoroughly = 10, kMostPairs = 1'000'000;

}  // namespace

MemoryPlan plan_memory(const Graph& graph, PackEffort effort, int64_t enough) {
  MemoryPlan plan;
  plan.storage = assign_storage(graph);
  const auto& storages = plan.storage.storages;
  const std::vector<int64_t> live = plan.storage.live_bytes(static_cast<int>(graph.nodes.size()));
  plan.lower_bound = *std::max_element(live.begin(), live.end());
  plan.offsets.assign(storages.size(), -1);

  std::vector<int> items;
  for (size_t s = 0; s < storages.size(); ++s)
    if (storages[s].in_arena) items.push_back(static_cast<int>(s));
  if (items.empty()) return plan;
  const auto take = [&](int64_t bytes, const std::vector<int64_t>& offsets) {
    plan.arena_bytes = bytes;
    for (size_t i = 0; i < items.size(); ++i)
      plan.offsets[static_cast<size_t>(items[i])] = offsets[i];
  };
  const FirstFit forwards = first_fit(storages, items, false);
  take(forwards.bytes, forwards.offsets);
  if (plan.arena_bytes <= std::max(plan.lower_bound, enough)) return plan;
  if (forwards.pairs > kMostPairs) {
    const FirstFit backwards = first_fit(storages, items, true);
    if (backwards.bytes < plan.arena_bytes) take(backwards.bytes, backwards.offsets);
    return plan;
  }
  Packing packing(storages, items);
  OrderSearch search(packing, live);
  if (search.best().bytes < plan.arena_bytes) take(search.best().bytes, search.best().offsets);
  const auto wanted = [&] { return enough >= plan.lower_bound ? enough : plan.tight_bytes(); };
  if (effort == PackEffort::quick || plan.arena_bytes <= wanted()) return plan;
  search.run(wanted(), effort == PackEffort::thorough ? kThoroughly * kWork : kWork);
  if (search.best().bytes < plan.arena_bytes) take(search.best().bytes, search.best().offsets);
  return plan;
}

bool fits(const Graph& graph, int64_t bytes) {
  const MemoryPlan quick = plan_memory(graph, PackEffort::quick);
  if (quick.arena_bytes <= bytes) return true;
  return quick.lower_bound <= bytes && plan_memory(graph).arena_bytes <= bytes;
}

}  // namespace attune
