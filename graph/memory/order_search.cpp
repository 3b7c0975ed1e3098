#include "graph/memory/order_search.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "graph/ir/interrupt.h"

namespace attune {
namespace {

// Orders to start from, in turn; pairs of storages that are looked at from each, or as many as
// placing all of them some times over takes.
constexpr size_t kStarts = 6, kOrderWork = 300'000, kTimesOver = 4;

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

void OrderSearch::run(int64_t enough, size_t work) {
  std::stable_sort(sorted_.begin(), sorted_.end(),
                   [](const Placed& a, const Placed& b) { return a.bytes < b.bytes; });
  const size_t each = std::max(kOrderWork, kTimesOver * packing_.work_of_all());
  for (size_t d = 0; best_.bytes > enough && d * each < work; ++d) {
    check_interrupt();
    descend(sorted_[d % kStarts].order, enough, each);
  }
}

// "Squeaky wheel" optimisation (Joslin, Clements: Journal of Artificial Intelligence Research 10,
// 1999) that begins again no earlier than it must: what would lie no lower than the best order
// has it goes somewhere ahead, and what lies behind that place is placed again.
void OrderSearch::descend(std::vector<int> order, int64_t enough, size_t work) {
  const size_t end = packing_.work_done() + work;
  std::vector<int64_t> offsets(order.size(), -1);
  const auto offset_of = [&](size_t i) -> int64_t& {
    return offsets[static_cast<size_t>(order[i])];
  };
  const auto top_of = [&](size_t i) { return offset_of(i) + packing_.storage(order[i]).bytes; };
  for (size_t i = 0, next; packing_.work_done() < end; i = next) {
    offset_of(i) = packing_.lowest_offset(order[i], offsets);
    next = i + 1;
    const bool too_high = top_of(i) >= best_.bytes;
    if (too_high && i == 0) return;  // by itself
    if (too_high) next = random_.below(i);
    if (!too_high && next == order.size()) {
      best_ = {order, offsets, 0};
      for (size_t k = 0; k < order.size(); ++k) best_.bytes = std::max(best_.bytes, top_of(k));
      if (best_.bytes <= enough) return;
      for (next = 0; top_of(next) < best_.bytes;) ++next;
    }
    for (size_t k = next; k <= i; ++k) offset_of(k) = -1;
    if (too_high) std::rotate(&order[next], &order[i], &order[i] + 1);
  }
}

}  // namespace attune
