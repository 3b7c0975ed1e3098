#include "graph/memory_plan.h"

#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <tuple>

#include "graph/packing.h"
#include "graph/packing_bound.h"

namespace attune {
namespace {

struct Random {
  uint64_t state = 0x9e3779b97f4a7c15u;
  size_t below(size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state >> 33) % n);
  }
};

// Bytes times steps.
int64_t volume(const Storage& storage) {
  int64_t sum = 0;
  for (const StorageRange& range : storage.ranges)
    for (const Life& life : range.lives) sum += range.bytes * (life.last - life.first + 1);
  return sum;
}

// An order of placement, and what it gives.
struct Placed {
  std::vector<int> order;
  std::vector<int64_t> offsets;  // by item
  int64_t bytes = INT64_MAX;
  int64_t excess = INT64_MAX;  // bytes of items above the bound
};

class OrderSearch {
 public:
  // `most_alive`: bytes; `peak`: the step at which they are.
  OrderSearch(Packing& packing, int64_t most_alive, int peak)
      : packing_(packing), most_alive_(most_alive) {
    consider_sorted(peak);
  }

  const Placed& best() const { return best_; }

  // Looks for a better order, as long as there may be one.
  void run(int64_t bound) {
    const size_t tries =
        packing_.size() < 2 ? 0 : std::min<size_t>(4000, 8'000'000 / packing_.size());
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

 private:
  static constexpr size_t kStarts = 6;

  void consider_sorted(int peak) {
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

  // Where in the order those items are that reach above so many bytes.
  std::vector<size_t> too_high(const Placed& placed, int64_t bytes) const {
    std::vector<size_t> high;
    for (size_t i = 0; i < placed.order.size(); ++i)
      if (end(placed, placed.order[i]) > bytes) high.push_back(i);
    return high;
  }

  int64_t end(const Placed& placed, int item) const {
    return placed.offsets[static_cast<size_t>(item)] + packing_.storage(item).bytes;
  }

  // Moves one item to another place in the order while that does no harm; at first every other
  // time one that reaches too high, to an earlier place.
  void lower_top(size_t tries, int64_t bound) {
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

  // Moves or swaps items while the top does not rise, nor, where it stays, the bytes above the
  // bound.
  void lower_excess(Placed& placed, size_t tries, int64_t bound) {
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

  int64_t excess(const Placed& placed, int64_t bound) const {
    int64_t sum = 0;
    for (int item : placed.order)
      sum += std::clamp<int64_t>(end(placed, item) - bound, 0, packing_.storage(item).bytes);
    return sum;
  }

  void move(size_t from, size_t to) {
    const auto at = [&](size_t i) { return next_.order.begin() + static_cast<std::ptrdiff_t>(i); };
    if (from < to)
      std::rotate(at(from), at(from) + 1, at(to) + 1);
    else
      std::rotate(at(to), at(from), at(from) + 1);
  }

  // Places the next order, in which some items of that of `placed` moved. False: it takes more.
  bool place_next(const Placed& placed, std::initializer_list<int> moved) {
    next_.offsets = placed.offsets;
    next_.bytes = packing_.place_again(next_.order, moved, placed.bytes, &next_.offsets);
    return next_.bytes <= placed.bytes;
  }

  Packing& packing_;
  const int64_t most_alive_;
  std::vector<Placed> sorted_;
  Placed best_, next_;
  Random random_;
};

}  // namespace

MemoryPlan plan_memory(const Graph& graph, PackEffort effort) {
  const int steps = static_cast<int>(graph.nodes.size());
  MemoryPlan plan;
  plan.storage = assign_storage(graph);
  const auto& storages = plan.storage.storages;
  const std::vector<int64_t> live = plan.storage.live_bytes(steps);
  const auto most = std::max_element(live.begin(), live.end());
  plan.lower_bound = *most;
  plan.offsets.assign(storages.size(), -1);

  std::vector<int> items;
  for (size_t s = 0; s < storages.size(); ++s)
    if (storages[s].in_arena) items.push_back(static_cast<int>(s));
  if (items.empty()) return plan;
  Packing packing(storages, items);
  OrderSearch search(packing, *most, static_cast<int>(most - live.begin()) - 1);
  if (effort == PackEffort::full && search.best().bytes > plan.lower_bound) {
    plan.lower_bound = packing_bound(plan.storage, steps, search.best().bytes);
    search.run(plan.lower_bound);
  }
  plan.arena_bytes = search.best().bytes;
  for (size_t i = 0; i < items.size(); ++i)
    plan.offsets[static_cast<size_t>(items[i])] = search.best().offsets[i];
  return plan;
}

bool fits(const Graph& graph, int64_t bytes) {
  const MemoryPlan quick = plan_memory(graph, PackEffort::quick);
  if (quick.arena_bytes <= bytes) return true;
  return quick.lower_bound <= bytes && plan_memory(graph).arena_bytes <= bytes;
}

}  // namespace attune
