#include "graph/memory/exact/exact_packing.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "graph/memory/packing.h"

namespace attune {

Packable pack_within(const std::vector<const Storage*>& storages, int64_t bytes, int64_t most_work,
                     std::vector<int64_t>* offsets) {
  PlacementSolver solver(storages, bytes);
  if (offsets && !offsets->empty()) solver.prefer(*offsets);
  const Packable packable = solver.solve(most_work);
  if (offsets && packable == Packable::yes) *offsets = solver.offsets();
  return packable;
}

namespace {

// Smaller and smaller arenas for one plan.
class Repacking {
 public:
  Repacking(MemoryPlan* plan, int64_t enough)
      : plan_(*plan), enough_(enough), items_(in_arena(*plan)), packing_(storages(), items_) {
    for (int item : items_) near_.push_back(plan->offsets[static_cast<size_t>(item)]);
  }

  void run() {
    close_in();
    aim_below();
  }

 private:
  static constexpr int kAttempts = 5;
  static constexpr int64_t kQuickly = 100'000'000, kThoroughly = 1'500'000'000;
  static constexpr int64_t kShares[] = {100, 200, 400, 800, 1600, 3200, 6400};  // of the arena

  // Halves what is between the arena and the most bytes that are not known to suffice.
  void close_in() {
    int64_t low = plan_.lower_bound - 1, bytes = plan_.lower_bound;
    for (int attempt = 0; attempt < kAttempts && may_gain(low, 200); ++attempt) {
      pack_in_turn(bytes, kQuickly);
      if (plan_.arena_bytes > bytes) low = bytes;
      bytes = (low + plan_.arena_bytes) / 2;
    }
  }

  // Where more than a percent is left, takes its time for one percent less, or the proof that it
  // does not suffice.
  void aim_below() {
    int64_t before = INT64_MAX;
    for (int attempt = 0; attempt < kAttempts && may_gain(plan_.lower_bound - 1, 100); ++attempt) {
      if (plan_.arena_bytes == before) return;
      before = plan_.arena_bytes;
      pack_in_turn(plan_.arena_bytes * 100 / 101, kThoroughly);
    }
  }

  // The largest storages first: alone they tell sooner, and the others often fit behind them.
  void pack_in_turn(int64_t bytes, int64_t most_work) {
    size_t before = 0;
    for (const int64_t share : kShares) {
      const size_t count = storages_of(plan_.arena_bytes / share);
      if (count == before) continue;
      before = count;
      const Packable packable = pack(count, bytes, most_work);
      if (packable == Packable::no) plan_.lower_bound = bytes + 1;
      if (packable != Packable::yes || plan_.arena_bytes <= bytes) return;
    }
  }

  // Whether more than one of so many parts lies between the arena and `low`.
  bool may_gain(int64_t low, int64_t part) const {
    return plan_.arena_bytes > enough_ && plan_.arena_bytes - low > plan_.arena_bytes / part;
  }

  void keep(int64_t bytes) {
    plan_.arena_bytes = bytes;
    for (size_t i = 0; i < items_.size(); ++i)
      plan_.offsets[static_cast<size_t>(items_[i])] = near_[i];
  }

  static std::vector<int> in_arena(const MemoryPlan& plan) {
    std::vector<int> items;
    for (size_t s = 0; s < plan.storage.storages.size(); ++s)
      if (plan.storage.storages[s].in_arena) items.push_back(static_cast<int>(s));
    return items;
  }

  const std::vector<Storage>& storages() const { return plan_.storage.storages; }

  // How many are of so many bytes and more.
  size_t storages_of(int64_t at_least) const {
    size_t count = 0;
    for (size_t i = 0; i < items_.size(); ++i)
      if (packing_.storage(static_cast<int>(i)).bytes >= at_least) ++count;
    return count;
  }

  // The `count` largest storages, and the others behind them, where they fit.
  Packable pack(size_t count, int64_t bytes, int64_t most_work) {
    std::vector<int> order(items_.size());  // of the packing's items
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return packing_.storage(a).bytes > packing_.storage(b).bytes;
    });
    // The search is quicker through those that follow each other.
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
    std::vector<const Storage*> searched;
    for (size_t i = 0; i < count; ++i) searched.push_back(&packing_.storage(order[i]));
    std::vector<int64_t> places;
    for (size_t i = 0; i < count; ++i) places.push_back(near_[static_cast<size_t>(order[i])]);
    const Packable packable = pack_within(searched, bytes, most_work, &places);
    if (packable != Packable::yes) return packable;
    for (size_t i = 0; i < count; ++i) near_[static_cast<size_t>(order[i])] = places[i];
    const int64_t taken = packing_.place_behind(order, count, INT64_MAX, &near_);
    if (taken < plan_.arena_bytes) keep(taken);
    return packable;
  }

  MemoryPlan& plan_;
  const int64_t enough_;
  const std::vector<int> items_;
  Packing packing_;
  std::vector<int64_t> near_;  // by item: offsets, perhaps in a larger arena, to start from
};

}  // namespace

void pack_exhaustively(MemoryPlan* plan, int64_t enough) { Repacking(plan, enough).run(); }

}  // namespace attune
