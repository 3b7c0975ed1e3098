#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace attune {

// Memory that one or more values occupy in turn or together: views (reshape), outputs that lie on a
// dying input (in-place operators), and in-place updates.
struct Storage {
  ValueId root = kNone;   // the first value; its role decides the segment
  int64_t bytes = 0;      // aligned
  int first = 0;          // step that writes it; -1: there before the first step
  int last = 0;           // step that reads it last; the number of steps: outputs
  bool in_arena = false;  // inputs and temporaries; parameters, constants and state live elsewhere
};

struct StorageMap {
  std::vector<int> of_value;  // index into `storages`, or -1 where a value is not used
  std::vector<Storage> storages;

  // The most bytes alive at once, which no packing can go below.
  int64_t lower_bound(int steps) const;
};

// Assigns values to storages for the graph's present order.
StorageMap assign_storage(const Graph& graph);

}  // namespace attune
