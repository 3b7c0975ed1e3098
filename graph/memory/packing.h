#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "graph/memory/storage.h"

namespace attune {

// Places storages of an arena one after the other, each at the lowest offset that is free
// throughout its life.
class Packing {
 public:
  // Items are storages by index into `storages`, which must stay.
  Packing(const std::vector<Storage>& storages, std::vector<int> items);

  size_t size() const { return items_.size(); }
  const Storage& storage(int item) const {
    return storages_[static_cast<size_t>(items_[static_cast<size_t>(item)])];
  }

  // The lowest offset at which an item meets none that is placed; offsets are by item, negative
  // where one is not placed.
  int64_t lowest_offset(int item, const std::vector<int64_t>& offsets);
  // Places all items in this order. Returns the bytes that they take.
  int64_t place(const std::vector<int>& order, std::vector<int64_t>* offsets);

  // What placing all items once takes, and what placing took so far: pairs looked at.
  size_t work_of_all() const { return work_of_all_; }
  size_t work_done() const { return work_done_; }

 private:
  // Where one item may not start, given where another does: more than `low` and less than `high`
  // bytes behind it.
  struct Conflict {
    int other;
    int64_t low, high;
  };

  void add_conflicts(int item, int other);

  const std::vector<Storage>& storages_;
  std::vector<int> items_;
  std::vector<std::vector<Conflict>> conflicts_;  // by item
  std::vector<std::pair<int64_t, int64_t>> taken_;
  size_t work_of_all_ = 0, work_done_ = 0;
};

}  // namespace attune
