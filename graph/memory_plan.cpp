#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace attune {
namespace {

// Where one storage may not start, given where another does: more than `low` and less than `high`
// bytes behind it.
struct Conflict {
  int other;
  int64_t low, high;
};

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

// The places of `a` relative to `b` in which two of their ranges would share a byte at some time.
void add_conflicts(const Storage& a, const Storage& b, int other,
                   std::vector<Conflict>* conflicts) {
  const size_t before = conflicts->size();
  for (const StorageRange& p : a.ranges)
    for (const StorageRange& q : b.ranges)
      if (meet(p.lives, q.lives))
        conflicts->push_back({other, q.offset - p.offset - p.bytes, q.offset + q.bytes - p.offset});
  if (conflicts->size() - before < 2) return;
  const auto begin = conflicts->begin() + static_cast<std::ptrdiff_t>(before);
  std::sort(begin, conflicts->end(),
            [](const Conflict& x, const Conflict& y) { return x.low < y.low; });
  auto last = begin;
  for (auto next = begin + 1; next != conflicts->end(); ++next) {
    if (next->low < last->high)
      last->high = std::max(last->high, next->high);
    else
      *++last = *next;
  }
  conflicts->erase(last + 1, conflicts->end());
}

class Packing {
 public:
  // Storages of the arena, by index into `storages`.
  Packing(const std::vector<Storage>& storages, std::vector<int> items)
      : storages_(storages), items_(std::move(items)), conflicts_(items_.size()) {
    std::vector<int> by_start(items_.size());
    std::iota(by_start.begin(), by_start.end(), 0);
    std::stable_sort(by_start.begin(), by_start.end(),
                     [&](int a, int b) { return storage(a).life.first < storage(b).life.first; });
    for (size_t i = 0; i < by_start.size(); ++i)
      for (size_t j = i + 1; j < by_start.size(); ++j) {
        const int a = by_start[i], b = by_start[j];
        if (storage(b).life.first > storage(a).life.last) break;
        add_conflicts(storage(a), storage(b), b, &conflicts_[static_cast<size_t>(a)]);
        add_conflicts(storage(b), storage(a), a, &conflicts_[static_cast<size_t>(b)]);
      }
  }

  size_t size() const { return items_.size(); }
  const Storage& storage(int item) const {
    return storages_[static_cast<size_t>(items_[static_cast<size_t>(item)])];
  }

  // Places items in this order, each at the lowest offset that is free throughout its life. Gives
  // up, returning a value above `limit`, as soon as the arena grows beyond it.
  int64_t place(const std::vector<int>& order, int64_t limit, std::vector<int64_t>* offsets) {
    offsets->assign(size(), -1);
    int64_t top = 0;
    for (int item : order) {
      taken_.clear();
      for (const Conflict& c : conflicts_[static_cast<size_t>(item)]) {
        const int64_t base = (*offsets)[static_cast<size_t>(c.other)];
        if (base >= 0 && base + c.high > 0) taken_.push_back({base + c.low, base + c.high});
      }
      std::sort(taken_.begin(), taken_.end());
      const int64_t alignment = storage(item).alignment;
      int64_t offset = 0;
      for (const auto& [low, high] : taken_) {
        if (low >= offset) break;
        if (high > offset) offset = (high + alignment - 1) / alignment * alignment;
      }
      (*offsets)[static_cast<size_t>(item)] = offset;
      top = std::max(top, offset + storage(item).bytes);
      if (top > limit) return top;
    }
    return top;
  }

 private:
  const std::vector<Storage>& storages_;
  std::vector<int> items_;
  std::vector<std::vector<Conflict>> conflicts_;  // by item
  std::vector<std::pair<int64_t, int64_t>> taken_;
};

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

}  // namespace

MemoryPlan plan_memory(const Graph& graph, PackEffort effort) {
  MemoryPlan plan;
  plan.storage = assign_storage(graph);
  const auto& storages = plan.storage.storages;
  plan.lower_bound = plan.storage.lower_bound(static_cast<int>(graph.nodes.size()));
  plan.offsets.assign(storages.size(), -1);

  std::vector<int> items;
  for (size_t s = 0; s < storages.size(); ++s)
    if (storages[s].in_arena) items.push_back(static_cast<int>(s));
  if (items.empty()) return plan;
  Packing packing(storages, items);

  std::vector<int> order(items.size());
  std::vector<int64_t> offsets, best_offsets;
  std::vector<int> best_order;
  int64_t best = INT64_MAX;
  const auto consider = [&](int64_t limit) {
    const int64_t bytes = packing.place(order, limit, &offsets);
    if (bytes > limit) return;
    best = bytes, best_offsets = offsets, best_order = order;
  };
  constexpr int64_t kLine = 64;
  const auto is_small = [](const Storage& s) { return s.bytes < kLine; };
  // Descending; what is smaller than a line comes last, and fits in anywhere.
  const auto sorted_by = [&](auto key) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      const Storage &s = packing.storage(a), &t = packing.storage(b);
      return std::pair(is_small(t), key(s)) > std::pair(is_small(s), key(t));
    });
    consider(best - 1);
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
  const std::vector<int64_t> live = plan.storage.live_bytes(static_cast<int>(graph.nodes.size()));
  const int peak = static_cast<int>(std::max_element(live.begin(), live.end()) - live.begin()) - 1;
  sorted_by([&](const Storage& s) {
    return std::tuple(s.life.first <= peak && peak <= s.life.last, s.bytes);
  });
  sorted_by([&](const Storage& s) {
    return std::tuple(s.life.first <= peak && peak <= s.life.last, duration(s), s.bytes);
  });

  // Moves one item to another place in the order while that does no harm; at first every other
  // time one that reaches too high, to an earlier place.
  Random random;
  const size_t tries = items.size() < 2 || effort == PackEffort::quick
                           ? 0
                           : std::min<size_t>(4000, 8'000'000 / items.size());
  for (size_t t = 0; t < tries && best > plan.lower_bound; ++t) {
    order = best_order;
    size_t from = random.below(order.size()), to = random.below(order.size());
    if (t < tries / 2 && t % 2 == 0) {
      std::vector<size_t> high;
      for (size_t i = 0; i < order.size(); ++i)
        if (best_offsets[static_cast<size_t>(order[i])] + packing.storage(order[i]).bytes >
            plan.lower_bound)
          high.push_back(i);
      from = high[random.below(high.size())];
      to = random.below(from + 1);
    }
    const int moved = order[from];
    order.erase(order.begin() + static_cast<std::ptrdiff_t>(from));
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(to), moved);
    consider(best);
  }

  plan.arena_bytes = best;
  for (size_t i = 0; i < items.size(); ++i)
    plan.offsets[static_cast<size_t>(items[i])] = best_offsets[i];
  return plan;
}

bool fits(const Graph& graph, int64_t bytes) {
  const MemoryPlan quick = plan_memory(graph, PackEffort::quick);
  if (quick.arena_bytes <= bytes) return true;
  return quick.lower_bound <= bytes && plan_memory(graph).arena_bytes <= bytes;
}

}  // namespace attune
