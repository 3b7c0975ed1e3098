#pragma once

#include <cstdint>

#include "graph/memory/storage.h"

namespace attune {

// Bytes that every packing takes: those of ranges of which any two are alive at the same time or
// belong to one storage, so that no two have a place in common. What is alive at one step is such a
// set. There are larger ones where storages live several times or in parts, as in micro-batches: A
// and B may meet in the first repetition, B and C in the second, and A and C beside each other in
// none. Looks for one by exchanges, no further than `enough` bytes; at least the most alive at
// once.
int64_t packing_bound(const StorageMap& storage, int steps, int64_t enough);

}  // namespace attune
