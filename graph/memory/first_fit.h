#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/memory/storage.h"

namespace attune {

struct FirstFit {
  std::vector<int64_t> offsets;  // by item
  int64_t bytes = 0;             // of all
  size_t pairs = 0;              // of items that are alive at the same step
};

// Places storages as they come alive, or backwards as they die, each at the lowest offset that is
// free from its first step to its last. Takes time by their number, where all else takes it by
// pairs. Items are storages by index.
FirstFit first_fit(const std::vector<Storage>& storages, const std::vector<int>& items,
                   bool backwards);

}  // namespace attune
