#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"
#include "graph/memory/storage.h"

namespace attune {

// Where every temporary and input of a program lies in the arena.
struct MemoryPlan {
  StorageMap storage;
  std::vector<int64_t> offsets;  // by storage; -1 outside the arena
  int64_t arena_bytes = 0;
  // The most bytes alive at once: no packing goes below it.
  int64_t lower_bound = 0;

  // A thousandth above the bound: less is not worth a search.
  int64_t tight_bytes() const { return lower_bound + lower_bound / 1000; }
  bool is_tight() const { return arena_bytes <= tight_bytes(); }

  int64_t offset_of(ValueId value) const {
    const auto v = static_cast<size_t>(value);
    return offsets[static_cast<size_t>(storage.of_value[v])] + storage.at[v];
  }
};

// quick: without the search; thorough: ten times as long, where a budget is missed.
enum class PackEffort : uint8_t { quick, full, thorough };

// Packs storages so that those alive at the same time do not overlap. Tries several orders of
// placement, then a seeded search over orders, and keeps the smallest; stops where that is tight,
// or at `enough` bytes where that may be reached. The same graph always gives the same plan.
MemoryPlan plan_memory(const Graph& graph, PackEffort effort = PackEffort::full,
                       int64_t enough = 0);

// Whether the graph as it is has an arena of at most so many bytes.
bool fits(const Graph& graph, int64_t bytes);

}  // namespace attune
