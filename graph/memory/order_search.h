#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "engine/random.h"
#include "graph/memory/packing.h"

namespace attune {

// An order of placement, and what it gives.
struct Placed {
  std::vector<int> order;
  std::vector<int64_t> offsets;  // by item
  int64_t bytes = INT64_MAX;
  int64_t excess = INT64_MAX;  // bytes of items above the bound
};

// Looks for orders in which storages, each placed at its lowest free offset, take few bytes. The
// same calls always give the same result.
class OrderSearch {
 public:
  // `live`: bytes alive before the first step and during each, see StorageMap::live_bytes.
  OrderSearch(Packing& packing, const std::vector<int64_t>& live);

  const Placed& best() const { return best_; }

  // Looks for a better order than the sorted ones by so many moves, and as many again, as long as
  // there may be one.
  void run(int64_t bound, size_t moves);

 private:
  std::vector<size_t> too_high(const Placed& placed, int64_t bytes) const;
  int64_t end(const Placed& placed, int item) const;
  void consider_sorted(int peak);
  void lower_top(size_t tries, int64_t bound);
  void lower_excess(Placed& placed, size_t tries, int64_t bound);
  int64_t excess(const Placed& placed, int64_t bound) const;
  void move(size_t from, size_t to);
  bool place_next(const Placed& placed, std::initializer_list<int> moved);

  Packing& packing_;
  int64_t most_alive_;
  std::vector<Placed> sorted_;
  Placed best_, next_;
  LinearCongruences random_;
};

}  // namespace attune
