#include "graph/memory/exact/placement_problem.h"

#include <algorithm>
#include <numeric>

namespace attune {
namespace {

constexpr int64_t kFar = INT64_MAX / 4;

bool meet(const StorageRange& a, const StorageRange& b) {
  return std::any_of(a.lives.begin(), a.lives.end(), [&](const Life& p) {
    return std::any_of(b.lives.begin(), b.lives.end(),
                       [&](const Life& q) { return p.first <= q.last && q.first <= p.last; });
  });
}

// Distances from `b` to `a` at which no two ranges that meet share a byte.
std::vector<PlacementPair::Gap> gaps_between(const Storage& a, const Storage& b) {
  std::vector<PlacementPair::Gap> forbidden;  // more than low, less than high
  for (const StorageRange& p : a.ranges)
    for (const StorageRange& q : b.ranges)
      if (p.bytes > 0 && q.bytes > 0 && meet(p, q))
        forbidden.push_back({q.offset - p.offset - p.bytes, q.offset + q.bytes - p.offset});
  std::sort(forbidden.begin(), forbidden.end(),
            [](const auto& x, const auto& y) { return x.low < y.low; });
  std::vector<PlacementPair::Gap> gaps;
  int64_t from = -kFar;
  for (const PlacementPair::Gap& f : forbidden) {
    if (f.low >= from) gaps.push_back({from, f.low});
    from = std::max(from, f.high);
  }
  gaps.push_back({from, kFar});
  return gaps;
}

bool is_alive(const StorageRange& range, int step) {
  return std::any_of(range.lives.begin(), range.lives.end(),
                     [&](const Life& l) { return l.first <= step && step <= l.last; });
}

Column column_at(const std::vector<const Storage*>& storages, int step) {
  Column column;
  for (size_t s = 0; s < storages.size(); ++s)
    for (const StorageRange& range : storages[s]->ranges) {
      if (range.bytes == 0 || !is_alive(range, step)) continue;
      if (!column.empty() && column.back().storage == s &&
          column.back().offset + column.back().bytes == range.offset)
        column.back().bytes += range.bytes;
      else
        column.push_back({s, range.offset, range.bytes});
    }
  return column;
}

int64_t bytes_of(const Column& column) {
  return std::accumulate(column.begin(), column.end(), int64_t{0},
                         [](int64_t sum, const ColumnSegment& s) { return sum + s.bytes; });
}

bool contains(const Column& large, const Column& small) {
  return std::all_of(small.begin(), small.end(), [&](const ColumnSegment& s) {
    return std::any_of(large.begin(), large.end(), [&](const ColumnSegment& l) {
      return l.storage == s.storage && l.offset <= s.offset &&
             s.offset + s.bytes <= l.offset + l.bytes;
    });
  });
}

}  // namespace

std::vector<PlacementPair> placement_pairs(const std::vector<const Storage*>& storages) {
  std::vector<PlacementPair> pairs;
  for (size_t i = 0; i < storages.size(); ++i)
    for (size_t j = i + 1; j < storages.size(); ++j) {
      PlacementPair pair{i, j, gaps_between(*storages[i], *storages[j])};
      if (pair.gaps.size() > 1) pairs.push_back(std::move(pair));
    }
  return pairs;
}

std::vector<Column> placement_columns(const std::vector<const Storage*>& storages,
                                      int64_t at_least) {
  std::vector<int> starts;  // something more is alive only where a life starts
  for (const Storage* storage : storages)
    for (const StorageRange& range : storage->ranges)
      for (const Life& life : range.lives) starts.push_back(life.first);
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<Column> all, columns;
  for (int step : starts) {
    Column column = column_at(storages, step);
    if (column.size() > 1 && bytes_of(column) >= at_least) all.push_back(std::move(column));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Column& a, const Column& b) { return bytes_of(a) > bytes_of(b); });
  for (Column& column : all)
    if (std::none_of(columns.begin(), columns.end(),
                     [&](const Column& c) { return contains(c, column); }))
      columns.push_back(std::move(column));
  return columns;
}

}  // namespace attune
