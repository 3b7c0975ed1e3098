#include "graph/memory/order_search.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace attune {
namespace {

constexpr size_t kStarts = 6;

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
  most_alive_ = *most;
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
    placed.bytes = packing_.place(placed.order, best_.bytes - 1, &placed.offsets);
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

void OrderSearch::run(int64_t bound, size_t moves) {
  const size_t tries = packing_.size() < 2 ? 0 : moves;
  lower_top(tries, bound);
  if (best_.bytes - bound <= bound / 1000) return;
  // From other orders, and judging the items that are still too high as well.
  for (Placed& placed : sorted_)
    placed.bytes = packing_.place(placed.order, INT64_MAX, &placed.offsets);
  std::stable_sort(sorted_.begin(), sorted_.end(),
                   [](const Placed& a, const Placed& b) { return a.bytes < b.bytes; });
  const size_t starts = std::min<size_t>(kStarts, sorted_.size());
  for (size_t s = 0; s < starts && best_.bytes > bound; ++s) {
    lower_excess(sorted_[s], tries / starts, bound);
    if (sorted_[s].bytes < best_.bytes) best_ = sorted_[s];
  }
}

void OrderSearch::lower_top(size_t tries, int64_t bound) {
  for (size_t t = 0; t < tries && best_.bytes > bound; ++t) {
    size_t from = random_.below(packing_.size()), to = random_.below(packing_.size());
    if (t < tries / 2 && t % 2 == 0) {
      const std::vector<size_t> high = too_high(best_, most_alive_);
      from = high[random_.below(high.size())];
      to = random_.below(from + 1);
    }
    next_.order = best_.order;
    move(from, to);
    if (place_next(best_, {best_.order[from]})) std::swap(best_, next_);
  }
}

// Where in the order those items are that reach above so many bytes.
std::vector<size_t> OrderSearch::too_high(const Placed& placed, int64_t bytes) const {
  std::vector<size_t> high;
  for (size_t i = 0; i < placed.order.size(); ++i)
    if (end(placed, placed.order[i]) > bytes) high.push_back(i);
  return high;
}

int64_t OrderSearch::end(const Placed& placed, int item) const {
  return placed.offsets[static_cast<size_t>(item)] + packing_.storage(item).bytes;
}

// Moves or swaps items while the top does not rise, nor, where it stays, the bytes above the
// bound.
void OrderSearch::lower_excess(Placed& placed, size_t tries, int64_t bound) {
  placed.excess = excess(placed, bound);
  for (size_t t = 0; t < tries && placed.bytes > bound; ++t) {
    size_t from = random_.below(packing_.size()), to = random_.below(packing_.size());
    if (t % 2 == 0) {
      const std::vector<size_t> high = too_high(placed, bound);
      from = high[random_.below(high.size())];
      to = random_.below(from + 1);
    }
    if (from == to) continue;
    next_.order = placed.order;
    const bool swapped = t % 4 == 3;
    if (swapped)
      std::swap(next_.order[from], next_.order[to]);
    else
      move(from, to);
    const int first = placed.order[from], second = swapped ? placed.order[to] : first;
    if (!place_next(placed, {first, second})) continue;
    next_.excess = excess(next_, bound);
    if (std::pair(next_.bytes, next_.excess) <= std::pair(placed.bytes, placed.excess))
      std::swap(placed, next_);
  }
}

int64_t OrderSearch::excess(const Placed& placed, int64_t bound) const {
  int64_t sum = 0;
  for (int item : placed.order)
    sum += std::clamp<int64_t>(end(placed, item) - bound, 0, packing_.storage(item).bytes);
  return sum;
}

void OrderSearch::move(size_t from, size_t to) {
  const auto at = [&](size_t i) { return next_.order.begin() + static_cast<std::ptrdiff_t>(i); };
  if (from < to)
    std::rotate(at(from), at(from) + 1, at(to) + 1);
  else
    std::rotate(at(to), at(from), at(from) + 1);
}

// Places the next order, in which some items of that of `placed` moved. False: it takes more.
bool OrderSearch::place_next(const Placed& placed, std::initializer_list<int> moved) {
  next_.offsets = placed.offsets;
  next_.bytes = packing_.place_again(next_.order, moved, placed.bytes, &next_.offsets);
  return next_.bytes <= placed.bytes;
}

}  // namespace attune
