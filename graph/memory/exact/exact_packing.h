#pragma once

#include <cstdint>
#include <vector>

#include "graph/memory/exact/placement_solver.h"
#include "graph/memory/memory_plan.h"

namespace attune {

// Whether storages can be placed in so many bytes, no two of their ranges sharing one at any time:
// an exhaustive search, see PlacementSolver. Unknown where it would have to look at more than
// `most_work` orders and places. `offsets`, if any, by their order here: where they lie elsewhere,
// which is tried first, or empty; and after a yes, where they lie then.
Packable pack_within(const std::vector<const Storage*>& storages, int64_t bytes, int64_t most_work,
                     std::vector<int64_t>* offsets = nullptr);

// Packs an arena anew where it is more than a little above its bound, as tightly as an exhaustive
// search can within some time; `enough`: with so many bytes nothing is left to gain. What it shows
// to be too few bytes becomes the bound. Mostly takes less than a second, half a minute where
// hundreds of storages meet and more than one percent is left.
void pack_exhaustively(MemoryPlan* plan, int64_t enough);

}  // namespace attune
