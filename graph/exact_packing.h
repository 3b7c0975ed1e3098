#pragma once

#include <cstdint>
#include <vector>

#include "graph/memory_plan.h"

namespace attune {

enum class Packable : uint8_t { yes, no, unknown };

// Whether storages can be placed in so many bytes, no two of their ranges sharing one at any time:
// an exhaustive search. Of every two that meet it decides which gap between the ranges of one the
// other one lies in, and keeps the offsets that are still possible. Unknown where more than
// `most_decisions` would be needed, or fewer where thousands of pairs make each one slow.
// `offsets`, if any: where they lie then, by their order here.
Packable pack_within(const std::vector<const Storage*>& storages, int64_t bytes,
                     int64_t most_decisions, std::vector<int64_t>* offsets = nullptr);

// Packs an arena anew where it is more than a little above its bound, by more moves in the order of
// placement and then as tightly as an exhaustive search of some decisions can; `enough`: with so
// many bytes nothing is left to gain. What it shows to be too few bytes becomes the bound. Takes
// seconds, half a minute where hundreds of storages meet.
void pack_exhaustively(MemoryPlan* plan, int64_t enough);

}  // namespace attune
