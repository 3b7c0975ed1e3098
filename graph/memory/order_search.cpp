#include "graph/memory/order_search.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace attune {
namespace {

// Orders to start from, tries in a row from each, and those without success before it goes back.
constexpr size_t kStarts = 6, kRow = 300, kPatience = 50;

// Bytes times steps.
int64_t volume(const Storage& storage) {
  int64_t sum = 0;
  for (const StorageRange& range : storage.ranges)
    for (const Life& life : range.lives) sum += range.bytes * (life.last - life.first + 1);
  return sum;
}

}  // namespace

OrderSearch::OrderSearch(Packing& packing, const std::vector<int64_t>& live) : packing_(packing) {
  const auto most = std::max_element(live.begin(), live.end());
  consider_sorted(static_cast<int>(most - live.begin()) - 1);
}

void OrderSearch::consider_sorted(int peak) {
  constexpr int64_t kLine = 64;
  const auto is_small = [](const Storage& s) { return s.bytes < kLine; };
  // Descending; what is smaller than a line comes last, and fits in anywhere.
  const auto sorted_by = [&](auto key) {
    Placed placed;
    placed.order.resize(packing_.size());
    std::iota(placed.order.begin(), placed.order.end(), 0);
    std::stable_sort(placed.order.begin(), placed.order.end(), [&](int a, int b) {
      const Storage &s = packing_.storage(a), &t = packing_.storage(b);
      return std::pair(is_small(t), key(s)) > std::pair(is_small(s), key(t));
    });
    placed.bytes = packing_.place(placed.order, &placed.offsets);
    if (placed.bytes < best_.bytes) best_ = placed;
    sorted_.push_back(std::move(placed));
  };
  const auto duration = [](const Storage& s) { return int64_t{s.life.last} - s.life.first; };
  sorted_by([](const Storage& s) { return s.bytes; });
  sorted_by(volume);
  sorted_by(duration);
  sorted_by([](const Storage& s) { return -int64_t{s.life.first}; });
  // What rolls over its rows first: it has the fewest places.
  sorted_by([&](const Storage& s) { return std::tuple(s.ranges.size() > 1, s.bytes); });
  // The same, but those whose start is free at times last: others fit in below them.
  const auto starts_free = [](const Storage& s) {
    int64_t longest = 0, first = 0;
    for (const Life& life : s.ranges.front().lives) first += life.last - life.first;
    for (const StorageRange& range : s.ranges) {
      int64_t steps = 0;
      for (const Life& life : range.lives) steps += life.last - life.first;
      longest = std::max(longest, steps);
    }
    return 2 * first < longest;
  };
  const auto density = [](const Storage& s) {
    int64_t steps = 0;
    for (const Life& life : s.ranges.front().lives) steps += life.last - life.first;
    return steps;
  };
  sorted_by([&](const Storage& s) {
    return std::tuple(!starts_free(s), s.ranges.size() == 1, density(s));
  });
  sorted_by([&](const Storage& s) { return std::tuple(!starts_free(s), density(s)); });
  sorted_by([&](const Storage& s) { return std::tuple(!starts_free(s), s.bytes); });
  // Those alive where most bytes are first, the largest below.
  sorted_by([&](const Storage& s) {
    return std::tuple(s.life.first <= peak && peak <= s.life.last, s.bytes);
  });
  sorted_by([&](const Storage& s) {
    return std::tuple(s.life.first <= peak && peak <= s.life.last, duration(s), s.bytes);
  });
}

// "Squeaky wheel" optimisation (Joslin, Clements: Journal of Artificial Intelligence Research 10,
// 1999): what came to lie too high goes further ahead in the order, and all are placed again.
void OrderSearch::run(int64_t enough, size_t tries) {
  std::stable_sort(sorted_.begin(), sorted_.end(),
                   [](const Placed& a, const Placed& b) { return a.bytes < b.bytes; });
  const size_t starts = std::min(kStarts, sorted_.size());
  for (size_t row = 0; row * kRow < tries && best_.bytes > enough; ++row)
    squeak(sorted_[row % starts], enough, std::min(kRow, tries - row * kRow),
           row / starts % 2 == 1);
}

void OrderSearch::squeak(Placed placed, int64_t enough, size_t tries, bool all) {
  Placed next = placed;
  for (size_t t = 0, failed = 0; t < tries && best_.bytes > enough; ++t) {
    advance_high(&next, enough, all);
    next.bytes = packing_.place(next.order, &next.offsets);
    if (next.bytes < placed.bytes) {
      placed = next;
      failed = 0;
    } else if (++failed > kPatience) {
      next = placed;
      failed = 0;
    }
    if (next.bytes < best_.bytes) best_ = next;
  }
}

// Moves the items that reach above so many bytes ahead in the order, by chance all of them or some.
void OrderSearch::advance_high(Placed* placed, int64_t bytes, bool all) {
  std::vector<int>& order = placed->order;
  for (size_t i = 0; i < order.size(); ++i) {
    const int item = order[i];
    const int64_t end = placed->offsets[static_cast<size_t>(item)] + packing_.storage(item).bytes;
    if (end <= bytes || (!all && random_.below(2) == 0)) continue;
    const auto from = order.begin() + static_cast<std::ptrdiff_t>(i);
    const auto to = order.begin() + static_cast<std::ptrdiff_t>(random_.below(i + 1));
    std::rotate(to, from, from + 1);
  }
}

}  // namespace attune
