#include "graph/exact_packing.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "graph/order_search.h"
#include "graph/packing.h"

namespace attune {
namespace {

constexpr int64_t kFar = INT64_MAX / 4;
constexpr size_t kManyPairs = 6000;  // from here on a decision takes milliseconds

struct Interval {
  int64_t low, high;
};

// Two storages that meet: the distance from the start of `second` to that of `first` is in one of
// the gaps.
struct Pair {
  size_t first, second;
  std::vector<Interval> gaps;  // in order
};

// Bytes of one storage that are alive at a step.
struct Segment {
  size_t storage;
  int64_t offset, bytes;
};
using Column = std::vector<Segment>;

bool meet(const StorageRange& a, const StorageRange& b) {
  return std::any_of(a.lives.begin(), a.lives.end(), [&](const Life& p) {
    return std::any_of(b.lives.begin(), b.lives.end(),
                       [&](const Life& q) { return p.first <= q.last && q.first <= p.last; });
  });
}

// Distances from `b` to `a` at which no two ranges meet in a byte.
std::vector<Interval> gaps_between(const Storage& a, const Storage& b) {
  std::vector<Interval> forbidden;  // more than low, less than high
  for (const StorageRange& p : a.ranges)
    for (const StorageRange& q : b.ranges)
      if (meet(p, q))
        forbidden.push_back({q.offset - p.offset - p.bytes, q.offset + q.bytes - p.offset});
  std::sort(forbidden.begin(), forbidden.end(),
            [](const Interval& x, const Interval& y) { return x.low < y.low; });
  std::vector<Interval> gaps;
  int64_t from = -kFar;
  for (const Interval& f : forbidden) {
    if (f.low >= from) gaps.push_back({from, f.low});
    from = std::max(from, f.high);
  }
  gaps.push_back({from, kFar});
  return gaps;
}

Column column_at(const std::vector<const Storage*>& storages, int step) {
  Column column;
  for (size_t s = 0; s < storages.size(); ++s)
    for (const StorageRange& range : storages[s]->ranges) {
      if (std::none_of(range.lives.begin(), range.lives.end(),
                       [&](const Life& l) { return l.first <= step && step <= l.last; }))
        continue;
      if (!column.empty() && column.back().storage == s &&
          column.back().offset + column.back().bytes == range.offset)
        column.back().bytes += range.bytes;
      else
        column.push_back({s, range.offset, range.bytes});
    }
  return column;
}

bool contains(const Column& large, const Column& small) {
  return std::all_of(small.begin(), small.end(), [&](const Segment& s) {
    return std::any_of(large.begin(), large.end(), [&](const Segment& l) {
      return l.storage == s.storage && l.offset <= s.offset &&
             s.offset + s.bytes <= l.offset + l.bytes;
    });
  });
}

// What is alive at each step, but for what is part of another step's.
std::vector<Column> columns_of(const std::vector<const Storage*>& storages) {
  std::vector<int> starts;  // something more is alive only where a life starts
  for (const Storage* storage : storages)
    for (const StorageRange& range : storage->ranges)
      for (const Life& life : range.lives) starts.push_back(life.first);
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<Column> all, columns;
  for (int step : starts) all.push_back(column_at(storages, step));
  std::stable_sort(all.begin(), all.end(), [](const Column& a, const Column& b) {
    const auto bytes = [](int64_t sum, const Segment& s) { return sum + s.bytes; };
    return std::accumulate(a.begin(), a.end(), int64_t{0}, bytes) >
           std::accumulate(b.begin(), b.end(), int64_t{0}, bytes);
  });
  for (Column& column : all)
    if (column.size() > 1 && std::none_of(columns.begin(), columns.end(),
                                          [&](const Column& c) { return contains(c, column); }))
      columns.push_back(std::move(column));
  return columns;
}

class Search {
 public:
  Search(const std::vector<const Storage*>& storages, int64_t bytes, int64_t most_decisions)
      : storages_(storages),
        columns_(columns_of(storages)),
        pairs_of_(storages.size()),
        columns_of_(storages.size()),
        left_(most_decisions) {
    for (size_t i = 0; i < storages.size(); ++i) {
      root_.offsets.push_back({0, round_down(bytes - storages[i]->bytes, i)});
      for (size_t j = i + 1; j < storages.size(); ++j) {
        Pair pair{i, j, gaps_between(*storages[i], *storages[j])};
        if (pair.gaps.size() < 2) continue;
        for (size_t s : {i, j}) pairs_of_[s].push_back(pairs_.size());
        root_.gaps.push_back({0, pair.gaps.size() - 1});
        pairs_.push_back(std::move(pair));
      }
    }
    for (size_t c = 0; c < columns_.size(); ++c)
      for (const Segment& segment : columns_[c]) columns_of_[segment.storage].push_back(c);
    failures_.assign(pairs_.size(), 1);
    const auto times = static_cast<int64_t>(pairs_.size() / kManyPairs);
    cost_ = 1 + times * times;
  }

  Packable run(std::vector<int64_t>* offsets) {
    std::vector<size_t> all(storages_.size());
    std::iota(all.begin(), all.end(), 0);
    if (!solve(root_, all)) return left_ < 0 ? Packable::unknown : Packable::no;
    if (offsets) *offsets = found_;
    return Packable::yes;
  }

 private:
  // What is still possible: offsets, and the gaps of each pair, from one to another.
  struct State {
    std::vector<Interval> offsets;
    std::vector<std::pair<size_t, size_t>> gaps;
  };

  // What a change of offsets makes worth looking at again.
  struct Changes {
    std::vector<size_t> storages;
    std::vector<bool> columns;
  };

  int64_t round_up(int64_t offset, size_t s) const {
    const int64_t alignment = storages_[s]->alignment;
    return offset + (alignment - offset % alignment) % alignment;
  }
  int64_t round_down(int64_t offset, size_t s) const {
    return offset - offset % storages_[s]->alignment;
  }

  bool solve(State state, const std::vector<size_t>& changed) {
    if ((left_ -= cost_) < 0 || !propagate(state, changed)) return false;
    const size_t pair = most_urgent(state);
    if (pair == pairs_.size()) {
      // One gap is left of each pair, and the lowest offsets keep to all of them.
      for (const Interval& offset : state.offsets) found_.push_back(offset.low);
      return true;
    }
    const auto [first, last] = state.gaps[pair];
    const size_t middle = (first + last) / 2;
    for (const auto& half : {std::pair(first, middle), std::pair(middle + 1, last)}) {
      State next = state;
      next.gaps[pair] = half;
      if (solve(std::move(next), {pairs_[pair].first, pairs_[pair].second})) return true;
      if (left_ < 0) return false;
    }
    return false;
  }

  // Of the undecided pairs a large one with few places left, that often failed; or their number.
  size_t most_urgent(const State& state) const {
    size_t result = pairs_.size();
    double most = 0;
    for (size_t p = 0; p < pairs_.size(); ++p) {
      if (state.gaps[p].first == state.gaps[p].second) continue;
      const auto [first, second] = std::pair(pairs_[p].first, pairs_[p].second);
      const Interval &a = state.offsets[first], &b = state.offsets[second];
      const auto bytes = static_cast<double>(storages_[first]->bytes + storages_[second]->bytes);
      const double urgency =
          failures_[p] * bytes / static_cast<double>(a.high - a.low + b.high - b.low + 64);
      if (urgency > most) most = urgency, result = p;
    }
    return result;
  }

  // Narrows what is possible until nothing follows any more. False: nothing is possible.
  bool propagate(State& state, const std::vector<size_t>& changed) {
    Changes changes{{}, std::vector<bool>(columns_.size())};
    for (size_t s : changed) note(s, &changes);
    for (;;) {
      while (!changes.storages.empty()) {
        const size_t s = changes.storages.back();
        changes.storages.pop_back();
        for (size_t p : pairs_of_[s])
          if (!narrow_pair(state, p, &changes)) {
            ++failures_[p];
            return false;
          }
      }
      const auto column = std::find(changes.columns.begin(), changes.columns.end(), true);
      if (column == changes.columns.end()) return true;
      *column = false;
      if (!narrow_column(state, columns_[static_cast<size_t>(column - changes.columns.begin())],
                         &changes))
        return false;
    }
  }

  void note(size_t s, Changes* changes) const {
    if (std::find(changes->storages.begin(), changes->storages.end(), s) == changes->storages.end())
      changes->storages.push_back(s);
    for (size_t c : columns_of_[s]) changes->columns[c] = true;
  }

  bool raise(State& state, size_t s, int64_t low, Changes* changes) const {
    Interval& offset = state.offsets[s];
    if (low <= offset.low) return true;
    offset.low = round_up(low, s);
    note(s, changes);
    return offset.low <= offset.high;
  }

  bool lower(State& state, size_t s, int64_t high, Changes* changes) const {
    Interval& offset = state.offsets[s];
    if (high >= offset.high) return true;
    if (high < offset.low) return false;
    offset.high = round_down(high, s);
    note(s, changes);
    return offset.low <= offset.high;
  }

  bool narrow_pair(State& state, size_t p, Changes* changes) const {
    const Pair& pair = pairs_[p];
    const Interval a = state.offsets[pair.first], b = state.offsets[pair.second];
    auto& [first, last] = state.gaps[p];
    while (pair.gaps[first].high < a.low - b.high)
      if (++first > last) return false;
    while (pair.gaps[last].low > a.high - b.low)
      if (last-- == first) return false;
    const int64_t low = pair.gaps[first].low, high = pair.gaps[last].high;
    return raise(state, pair.first, b.low + low, changes) &&
           lower(state, pair.first, b.high + high, changes) &&
           raise(state, pair.second, a.low - high, changes) &&
           lower(state, pair.second, a.high - low, changes);
  }

  // Segments of a column have places of their own, as jobs on one machine have times. For the
  // segments that lie between two addresses: they fit, and another one that does not fit among
  // them comes behind all of them, or before (edge finding, of Carlier and Pinson).
  bool narrow_column(State& state, const Column& column, Changes* changes) const {
    struct Window {
      int64_t begin, end;
    };
    std::vector<Window> windows;
    for (const Segment& s : column) {
      const Interval& offset = state.offsets[s.storage];
      windows.push_back({offset.low + s.offset, offset.high + s.offset + s.bytes});
    }
    std::vector<size_t> by_end(column.size());
    std::iota(by_end.begin(), by_end.end(), 0);
    std::sort(by_end.begin(), by_end.end(),
              [&](size_t a, size_t b) { return windows[a].end < windows[b].end; });
    for (const Window& from : windows) {
      const int64_t begin = from.begin;
      int64_t sum = 0;
      for (size_t last : by_end) {
        if (windows[last].begin < begin) continue;
        sum += column[last].bytes;
        const int64_t end = windows[last].end;
        if (begin + sum > end) return false;
        for (size_t other = 0; other < column.size(); ++other) {
          const Segment& s = column[other];
          const Window& w = windows[other];
          // Inside, or perhaps not counted yet.
          if (w.begin >= begin && w.end <= end) continue;
          if (w.end > end && std::min(w.begin, begin) + sum + s.bytes > end &&
              !raise(state, s.storage, begin + sum - s.offset, changes))
            return false;
          if (w.begin < begin && std::max(w.end, end) - sum - s.bytes < begin &&
              !lower(state, s.storage, end - sum - s.bytes - s.offset, changes))
            return false;
        }
      }
    }
    return true;
  }

  const std::vector<const Storage*>& storages_;
  const std::vector<Column> columns_;
  std::vector<Pair> pairs_;
  std::vector<std::vector<size_t>> pairs_of_, columns_of_;  // by storage
  std::vector<int> failures_;                               // by pair
  State root_;
  int64_t left_, cost_ = 1;  // decisions, and what one counts for
  std::vector<int64_t> found_;
};

}  // namespace

Packable pack_within(const std::vector<const Storage*>& storages, int64_t bytes,
                     int64_t most_decisions, std::vector<int64_t>* offsets) {
  for (const Storage* storage : storages)
    if (storage->bytes > bytes) return Packable::no;
  return Search(storages, bytes, most_decisions).run(offsets);
}

namespace {

// Smaller and smaller arenas for one plan.
class Repacking {
 public:
  Repacking(MemoryPlan* plan, int64_t enough)
      : plan_(*plan), enough_(enough), items_(in_arena(*plan)), packing_(storages(), items_) {}

  void run() {
    move_more();
    int64_t low = plan_.lower_bound - 1;  // not known to suffice
    for (int attempt = 0; attempt < kAttempts && may_gain(low); ++attempt) {
      const int64_t bytes = attempt == 0 ? plan_.lower_bound : (low + plan_.arena_bytes) / 2;
      // The largest storages alone tell sooner, and the others often fit behind them.
      size_t before = 0;
      for (const int64_t share : kShares) {
        const size_t count = storages_of(plan_.arena_bytes / share);
        if (count == before) continue;
        before = count;
        const Packable packable = pack(count, bytes);
        if (packable == Packable::no) plan_.lower_bound = bytes + 1;
        if (packable != Packable::yes || plan_.arena_bytes <= bytes) break;
      }
      if (plan_.arena_bytes > bytes) low = bytes;
    }
  }

 private:
  // Twenty times as many moves as plan_memory's; some ten seconds.
  static constexpr size_t kMoves = 80'000;
  static constexpr uint64_t kMostCompared = 300'000'000;
  static constexpr int kAttempts = 5;
  static constexpr int64_t kNear = 200;
  static constexpr int64_t kShares[] = {100, 200, 400, 800, 1600, 10000};  // of the arena
  static constexpr size_t kMostStorages = 600;
  static constexpr int64_t kMostDecisions = 1000;

  // Whether it is worth looking for an arena of more than `low` bytes.
  bool may_gain(int64_t low) const {
    return plan_.arena_bytes > enough_ && plan_.arena_bytes - low > plan_.arena_bytes / kNear;
  }

  // The search of `plan_memory` again, with more moves.
  void move_more() {
    if (!may_gain(plan_.lower_bound)) return;
    int steps = 0;
    for (const Storage& storage : storages()) steps = std::max(steps, storage.life.last);
    OrderSearch search(packing_, plan_.storage.live_bytes(steps));
    search.run(plan_.lower_bound, kMoves, kMostCompared);
    if (search.best().bytes < plan_.arena_bytes) keep(search.best().bytes, search.best().offsets);
  }

  void keep(int64_t bytes, const std::vector<int64_t>& offsets) {
    plan_.arena_bytes = bytes;
    for (size_t i = 0; i < items_.size(); ++i)
      plan_.offsets[static_cast<size_t>(items_[i])] = offsets[i];
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
    return std::min(count, kMostStorages);
  }

  // The `count` largest storages, and the others behind them, where they fit.
  Packable pack(size_t count, int64_t bytes) {
    std::vector<int> order(items_.size());  // of the packing's items
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return packing_.storage(a).bytes > packing_.storage(b).bytes;
    });
    // The search is quicker through those that follow each other.
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
    std::vector<const Storage*> searched;
    for (size_t i = 0; i < count; ++i) searched.push_back(&packing_.storage(order[i]));
    std::vector<int64_t> places, offsets(items_.size(), -1);
    const Packable packable = pack_within(searched, bytes, kMostDecisions, &places);
    if (packable != Packable::yes) return packable;
    for (size_t i = 0; i < count; ++i) offsets[static_cast<size_t>(order[i])] = places[i];
    const int64_t taken = packing_.place_behind(order, count, plan_.arena_bytes, &offsets);
    if (taken >= plan_.arena_bytes) return packable;
    keep(taken, offsets);
    return packable;
  }

  MemoryPlan& plan_;
  const int64_t enough_;
  const std::vector<int> items_;
  Packing packing_;
};

}  // namespace

void pack_exhaustively(MemoryPlan* plan, int64_t enough) { Repacking(plan, enough).run(); }

}  // namespace attune
