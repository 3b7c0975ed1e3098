#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace attune {
namespace {

struct Item {
  int64_t bytes;
  int first, last;
  int64_t offset = -1;
};

bool overlap_in_time(const Item& a, const Item& b) {
  return a.first <= b.last && b.first <= a.last;
}

// Places items in this order, each at the lowest offset that is free throughout its life. Gives up,
// returning a value above `limit`, as soon as the arena grows beyond it.
int64_t place(std::vector<Item>& items, const std::vector<int>& order, int64_t limit) {
  std::vector<int> placed;  // by offset
  int64_t top = 0;
  for (int index : order) {
    Item& item = items[static_cast<size_t>(index)];
    int64_t offset = 0;
    for (int other : placed) {
      const Item& o = items[static_cast<size_t>(other)];
      if (!overlap_in_time(item, o)) continue;
      if (o.offset >= offset + item.bytes) break;
      offset = std::max(offset, o.offset + o.bytes);
    }
    item.offset = offset;
    top = std::max(top, offset + item.bytes);
    if (top > limit) return top;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](int64_t value, int i) {
                                     return value < items[static_cast<size_t>(i)].offset;
                                   }),
                  index);
  }
  return top;
}

struct Random {
  uint64_t state = 0x9e3779b97f4a7c15u;
  size_t below(size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state >> 33) % n);
  }
};

}  // namespace

MemoryPlan plan_memory(const Graph& graph) {
  MemoryPlan plan;
  plan.storage = assign_storage(graph);
  plan.lower_bound = plan.storage.lower_bound(static_cast<int>(graph.nodes.size()));
  plan.offsets.assign(plan.storage.storages.size(), -1);

  std::vector<Item> items;
  std::vector<int> storage_of;
  for (size_t s = 0; s < plan.storage.storages.size(); ++s) {
    const Storage& storage = plan.storage.storages[s];
    if (!storage.in_arena) continue;
    items.push_back({storage.bytes, storage.first, storage.last});
    storage_of.push_back(static_cast<int>(s));
  }

  std::vector<int> order(items.size());
  const auto sorted_by = [&](auto key) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return key(items[static_cast<size_t>(a)]) > key(items[static_cast<size_t>(b)]);
    });
  };
  int64_t best = INT64_MAX;
  std::vector<Item> best_items;
  std::vector<int> best_order;
  const auto consider = [&] {
    const int64_t bytes = place(items, order, best - 1);
    if (bytes >= best) return;
    best = bytes, best_items = items, best_order = order;
  };
  sorted_by([](const Item& i) { return i.bytes; });
  consider();
  sorted_by([](const Item& i) { return i.bytes * (i.last - i.first + 1); });
  consider();
  sorted_by([](const Item& i) { return static_cast<int64_t>(i.last - i.first); });
  consider();
  sorted_by([](const Item& i) { return -static_cast<int64_t>(i.first); });
  consider();

  // Moves one item to another place in the order while that does no harm.
  Random random;
  const size_t tries = items.size() < 2 ? 0 : std::min<size_t>(2000, 4'000'000 / items.size());
  for (size_t t = 0; t < tries && best > plan.lower_bound; ++t) {
    order = best_order;
    const size_t from = random.below(order.size()), to = random.below(order.size());
    const int moved = order[from];
    order.erase(order.begin() + static_cast<std::ptrdiff_t>(from));
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(to), moved);
    const int64_t bytes = place(items, order, best);
    if (bytes <= best) best = bytes, best_items = items, best_order = order;
  }

  plan.arena_bytes = items.empty() ? 0 : best;
  for (size_t i = 0; i < best_items.size(); ++i)
    plan.offsets[static_cast<size_t>(storage_of[i])] = best_items[i].offset;
  return plan;
}

}  // namespace attune
