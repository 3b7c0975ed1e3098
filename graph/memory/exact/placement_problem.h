#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/memory/storage.h"

namespace attune {

// Two storages that meet: the distance from the start of `second` to that of `first` is in one of
// the gaps, as no two of their ranges share a byte there. In order, at least two; the first one
// begins where nothing does, the last one ends there.
struct PlacementPair {
  struct Gap {
    int64_t low, high;
  };
  size_t first, second;
  std::vector<Gap> gaps;
};

// Bytes of one storage that are alive at a step.
struct ColumnSegment {
  size_t storage;
  int64_t offset, bytes;  // within the storage
};
// What is alive at a step, and so has places of its own.
using Column = std::vector<ColumnSegment>;

std::vector<PlacementPair> placement_pairs(const std::vector<const Storage*>& storages);

// The columns of so many bytes and more, but for those that are part of others.
std::vector<Column> placement_columns(const std::vector<const Storage*>& storages,
                                      int64_t at_least);

}  // namespace attune
