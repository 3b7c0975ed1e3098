#include "graph/memory/packing.h"

#include <algorithm>
#include <numeric>

namespace attune {
namespace {

bool meet(const std::vector<Life>& a, const std::vector<Life>& b) {
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i].last < b[j].first)
      ++i;
    else if (b[j].last < a[i].first)
      ++j;
    else
      return true;
  }
  return false;
}

}  // namespace

Packing::Packing(const std::vector<Storage>& storages, std::vector<int> items)
    : storages_(storages), items_(std::move(items)), conflicts_(items_.size()) {
  std::vector<int> by_start(items_.size());
  std::iota(by_start.begin(), by_start.end(), 0);
  std::stable_sort(by_start.begin(), by_start.end(),
                   [&](int a, int b) { return storage(a).life.first < storage(b).life.first; });
  for (size_t i = 0; i < by_start.size(); ++i)
    for (size_t j = i + 1; j < by_start.size(); ++j) {
      const int a = by_start[i], b = by_start[j];
      if (storage(b).life.first > storage(a).life.last) break;
      add_conflicts(a, b);
      add_conflicts(b, a);
    }
  for (const auto& conflicts : conflicts_) work_of_all_ += conflicts.size() + 1;
}

// The places relative to `other` in which two of their ranges would share a byte at some time.
void Packing::add_conflicts(int item, int other) {
  std::vector<Conflict>& conflicts = conflicts_[static_cast<size_t>(item)];
  const size_t before = conflicts.size();
  for (const StorageRange& p : storage(item).ranges)
    for (const StorageRange& q : storage(other).ranges)
      if (meet(p.lives, q.lives))
        conflicts.push_back({other, q.offset - p.offset - p.bytes, q.offset + q.bytes - p.offset});
  if (conflicts.size() - before < 2) return;
  const auto begin = conflicts.begin() + static_cast<std::ptrdiff_t>(before);
  std::sort(begin, conflicts.end(),
            [](const Conflict& x, const Conflict& y) { return x.low < y.low; });
  auto last = begin;
  for (auto next = begin + 1; next != conflicts.end(); ++next) {
    if (next->low < last->high)
      last->high = std::max(last->high, next->high);
    else
      *++last = *next;
  }
  conflicts.erase(last + 1, conflicts.end());
}

int64_t Packing::lowest_offset(int item, const std::vector<int64_t>& offsets) {
  const std::vector<Conflict>& conflicts = conflicts_[static_cast<size_t>(item)];
  work_done_ += conflicts.size() + 1;
  taken_.clear();
  for (const Conflict& c : conflicts) {
    const int64_t base = offsets[static_cast<size_t>(c.other)];
    if (base >= 0 && base + c.high > 0) taken_.push_back({base + c.low, base + c.high});
  }
  std::sort(taken_.begin(), taken_.end());
  const int64_t alignment = storage(item).alignment;
  int64_t offset = 0;
  for (const auto& [low, high] : taken_) {
    if (low >= offset) break;
    if (high > offset) offset = (high + alignment - 1) / alignment * alignment;
  }
  return offset;
}

int64_t Packing::place(const std::vector<int>& order, std::vector<int64_t>* offsets) {
  offsets->assign(size(), -1);  // not placed yet
  int64_t top = 0;
  for (int item : order) {
    const int64_t offset = lowest_offset(item, *offsets);
    (*offsets)[static_cast<size_t>(item)] = offset;
    top = std::max(top, offset + storage(item).bytes);
  }
  return top;
}

}  // namespace attune
