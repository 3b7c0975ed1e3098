#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/random.h"
#include "graph/memory/packing.h"

namespace attune {

// An order of placement, and what it gives.
struct Placed {
  std::vector<int> order;
  std::vector<int64_t> offsets;  // by item
  int64_t bytes = INT64_MAX;
};

// Looks for orders in which storages, each placed at its lowest free offset, take few bytes. The
// same calls always give the same result.
class OrderSearch {
 public:
  // `live`: bytes alive before the first step and during each, see StorageMap::live_bytes.
  OrderSearch(Packing& packing, const std::vector<int64_t>& live);

  const Placed& best() const { return best_; }

  // Looks for better orders than the sorted ones, until one takes no more than `enough` bytes, or
  // so many pairs of storages were looked at.
  void run(int64_t enough, size_t work);

 private:
  void consider_sorted(int peak);
  void descend(std::vector<int> order, int64_t enough, size_t work);

  Packing& packing_;
  std::vector<Placed> sorted_;
  Placed best_;
  LinearCongruences random_;
};

}  // namespace attune
