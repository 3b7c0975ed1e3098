#include <algorithm>

#include "graph/memory/exact/placement_solver.h"

namespace attune {
namespace {

constexpr int64_t kFarBelow = INT64_MIN / 2;
constexpr size_t kOften = 8;  // a bound that is raised more often may be raised for ever

// Insertion, as the order was nearly the same last time.
void sort_by(const std::vector<int64_t>& key, std::vector<size_t>* order) {
  for (size_t i = 1; i < order->size(); ++i) {
    const size_t moved = (*order)[i];
    size_t at = i;
    for (; at > 0 && key[(*order)[at - 1]] > key[moved]; --at) (*order)[at] = (*order)[at - 1];
    (*order)[at] = moved;
  }
}

}  // namespace

int64_t PlacementSolver::round_up(int64_t value, Bound b) const {
  const int64_t alignment = storages_[b / 2]->alignment;
  const int64_t rest = value % alignment;
  return rest > 0 ? value + alignment - rest : value - rest;
}

bool PlacementSolver::propagate() {
  std::fill(raised_.begin(), raised_.end(), 0);
  for (;;) {
    while (followed_ < trail_.size()) {
      if (work_ >= most_work_) return true;
      const size_t at = followed_++;
      const size_t what = trail_[at].what;
      if (!trail_[at].is_bound) {
        if (!propagate_literal(what)) return false;
      } else if (raised_at_[what] == at && !propagate_bound(what)) {
        return false;
      }
    }
    if (due_columns_.empty()) return true;
    const size_t column = due_columns_.back();
    due_columns_.pop_back();
    is_due_[column] = false;
    if (!propagate_column(column, false) || !propagate_column(column, true)) return false;
  }
}

bool PlacementSolver::propagate_literal(Literal l) {
  const Literal not_holding = opposite(l);
  std::vector<Watch> watches = std::move(watches_[not_holding]);
  watches_[not_holding].clear();
  size_t at = 0;
  bool possible = true;
  while (possible && at < watches.size()) {
    possible = visit(watches[at], not_holding, &watches_[not_holding]);
    ++at;
  }
  watches_[not_holding].insert(watches_[not_holding].end(),
                               watches.begin() + static_cast<std::ptrdiff_t>(at), watches.end());
  if (!possible) return false;
  return std::all_of(edges_of_literal_[l].begin(), edges_of_literal_[l].end(),
                     [&](size_t edge) { return raise_by_edge(edge); });
}

// Looks for another literal to watch instead of the one that does not hold any more.
bool PlacementSolver::visit(const Watch& watch, Literal not_holding, std::vector<Watch>* watches) {
  if (holds(watch.other)) {
    watches->push_back(watch);
    return true;
  }
  std::vector<Literal>& literals = clauses_[watch.clause].literals;
  if (literals[0] == not_holding) std::swap(literals[0], literals[1]);
  size_t k = 2;
  if (!holds(literals[0]))
    while (k < literals.size() && holds(opposite(literals[k]))) ++k;
  work_ += 1 + static_cast<int64_t>(k) / 4;
  if (!holds(literals[0]) && k < literals.size()) {
    std::swap(literals[1], literals[k]);
    watches_[literals[1]].push_back({watch.clause, literals[0]});
    return true;
  }
  watches->push_back({watch.clause, literals[0]});
  if (holds(literals[0])) return true;
  if (is_open(literals[0])) {
    set(literals[0], Reason::clause, watch.clause);
    return true;
  }
  conflict_ = {};
  for (Literal l : literals) conflict_.literals.push_back(opposite(l));
  return false;
}

bool PlacementSolver::propagate_bound(Bound b) {
  work_ += static_cast<int64_t>(edges_from_[b].size());
  for (size_t e : edges_from_[b]) {
    const Edge& edge = edges_[e];
    if (is_open(edge.literal)) {
      if (bounds_[b] + edge.distance > most(edge.to)) set(opposite(edge.literal), Reason::edge, e);
    } else if (holds(edge.literal) && !raise_by_edge(e)) {
      return false;
    }
  }
  return true;
}

bool PlacementSolver::raise_by_edge(size_t e) {
  const Edge& edge = edges_[e];
  const int64_t least = bounds_[edge.from] + edge.distance;
  if (least <= bounds_[edge.to]) return true;
  if (least > most(edge.to)) {
    conflict_.literals = {edge.literal};
    conflict_.bounds = {{edge.from, most(edge.to) + 1 - edge.distance},
                        {edge.to ^ 1, bounds_[edge.to ^ 1]}};
    return false;
  }
  set(edge.to, round_up(least, edge.to), Reason::edge, e, 0);
  return raised_[edge.to] <= kOften || !comes_from_itself(edge.to);
}

// Whether a bound was raised by edges that go round in a circle and raise it every time: then there
// is no end to it.
bool PlacementSolver::comes_from_itself(Bound b) {
  conflict_ = {};
  std::vector<size_t> path;  // edges, the last one first
  const auto is_on_path = [&](Bound bound) {
    return std::find_if(path.begin(), path.end(),
                        [&](size_t edge) { return edges_[edge].to == bound; });
  };
  size_t at = raised_at_[b];
  while (trail_[at].reason == Reason::edge) {
    path.push_back(trail_[at].by);
    const Bound from = edges_[path.back()].from;
    work_ += static_cast<int64_t>(path.size());
    const auto circle = is_on_path(from);
    if (circle != path.end()) {
      path.erase(path.begin(), circle);
      return raises_itself(path);
    }
    size_t before = raised_at_[from];
    for (; before > at; before = trail_[before].previous) ++work_;
    at = before;
  }
  return false;
}

// Of edges that go round in a circle, the last one first. From a bound of the largest alignment on,
// rounding moves along with the bounds, as alignments are powers of two.
bool PlacementSolver::raises_itself(std::vector<size_t> circle) {
  std::reverse(circle.begin(), circle.end());
  const auto alignment = [&](size_t edge) { return storages_[edges_[edge].from / 2]->alignment; };
  std::rotate(circle.begin(),
              std::max_element(circle.begin(), circle.end(),
                               [&](size_t x, size_t y) { return alignment(x) < alignment(y); }),
              circle.end());
  int64_t value = 0;
  for (size_t edge : circle) {
    value = round_up(value + edges_[edge].distance, edges_[edge].to);
    conflict_.literals.push_back(edges_[edge].literal);
  }
  return value > 0;
}

// Segments of a column have places of their own, as jobs on one machine have times. Those that end
// below an address fit, at the earliest one behind the other; where they do not with one more, that
// one comes behind all of them (edge finding, of Carlier and Pinson). The same from above, where
// addresses are negated.
bool PlacementSolver::propagate_column(size_t c, bool from_above) {
  const Column& column = columns_[c];
  begins_.resize(column.size());
  ends_.resize(column.size());
  int64_t largest = 0;
  for (size_t k = 0; k < column.size(); ++k) {
    const ColumnSegment& s = column[k];
    const int64_t begin = bounds_[2 * s.storage] + s.offset;
    const int64_t end = most(2 * s.storage) + s.offset + s.bytes;
    begins_[k] = from_above ? -end : begin;
    ends_[k] = from_above ? -begin : end;
    largest = std::max(largest, s.bytes);
  }
  std::vector<size_t>& by_begin = by_begin_[2 * c + (from_above ? 1 : 0)];
  std::vector<size_t>& by_end = by_end_[2 * c + (from_above ? 1 : 0)];
  sort_by(begins_, &by_begin);
  sort_by(ends_, &by_end);
  work_ += static_cast<int64_t>(column.size());

  const auto require_begin = [&](size_t k, int64_t value) {
    const auto& [storage, offset, bytes] = column[k];
    why_.push_back(from_above ? Requirement{2 * storage + 1, value + offset + bytes}
                              : Requirement{2 * storage, value - offset});
  };
  const auto require_end = [&](size_t k, int64_t value) {
    const auto& [storage, offset, bytes] = column[k];
    why_.push_back(from_above ? Requirement{2 * storage, -value - offset}
                              : Requirement{2 * storage + 1, offset + bytes - value});
  };
  // Segments behind one another without a gap: where they start, and where they end.
  struct Block {
    int64_t begin = 0, end = kFarBelow;
    void add(int64_t segment_begin, int64_t bytes) {
      if (segment_begin > end) begin = end = segment_begin;
      end += bytes;
    }
    int64_t bytes() const { return end - begin; }
  };

  for (size_t at = column.size(); at-- > 0;) {
    const int64_t end = ends_[by_end[at]];
    if (at + 1 < column.size() && ends_[by_end[at + 1]] == end) continue;
    work_ += static_cast<int64_t>(column.size()) / 8;
    Block last;  // of those that end here or before
    for (size_t k : by_begin)
      if (ends_[k] <= end) last.add(begins_[k], column[k].bytes);
    if (last.end > end) {
      why_.clear();
      for (size_t k = 0; k < column.size(); ++k)
        if (begins_[k] >= last.begin && ends_[k] <= end)
          require_begin(k, end - last.bytes() + 1), require_end(k, end);
      conflict_ = {{}, why_};
      return false;
    }
    bool moved = false;
    while (last.end + largest > end) {
      // The one that ends later and takes the others farthest.
      int64_t without = kFarBelow, farthest = kFarBelow;
      size_t other = kNone;
      for (size_t k : by_begin) {
        const int64_t begin = begins_[k], bytes = column[k].bytes;
        if (ends_[k] <= end) {
          without = std::max(without, begin) + bytes;
          farthest = std::max(farthest, begin) + bytes;
        } else if (begin < last.end && std::max(without, begin) + bytes > farthest) {
          farthest = std::max(without, begin) + bytes;
          other = k;
        }
      }
      work_ += static_cast<int64_t>(column.size()) / 8;
      if (other == kNone || farthest <= end) break;
      Block with;
      for (size_t k : by_begin)
        if (ends_[k] <= end || k == other) with.add(begins_[k], column[k].bytes);
      const int64_t too_far = end - with.bytes() + 1;  // for `with` to start at
      why_.clear();
      for (size_t k = 0; k < column.size(); ++k) {
        const int64_t begin = begins_[k];
        if (ends_[k] > end || begin < std::min(last.begin, with.begin)) continue;
        require_end(k, end);
        require_begin(k, begin < with.begin   ? last.begin
                         : begin < last.begin ? too_far
                                              : std::max(last.begin, too_far));
      }
      require_begin(other, too_far);
      const auto& [storage, offset, bytes] = column[other];
      if (!(from_above ? raise_by_column(2 * storage + 1, last.end + offset + bytes)
                       : raise_by_column(2 * storage, last.end - offset)))
        return false;
      begins_[other] = last.end;
      moved = true;
    }
    if (moved) sort_by(begins_, &by_begin);
  }
  return true;
}

bool PlacementSolver::raise_by_column(Bound b, int64_t value) {
  if (value <= bounds_[b]) return true;
  if (value > most(b)) {
    conflict_ = {{}, why_};
    conflict_.bounds.push_back({b ^ 1, 1 - value});
    return false;
  }
  const size_t by = column_reasons_.size();
  column_reasons_.insert(column_reasons_.end(), why_.begin(), why_.end());
  set(b, round_up(value, b), Reason::column, by, column_reasons_.size());
  return true;
}

void PlacementSolver::set(Literal l, Reason reason, size_t by) {
  values_[switch_of(l)] = (l & 1) != 0 ? -1 : 1;
  known_at_[switch_of(l)] = trail_.size();
  trail_.push_back({false, reason, l, level(), by, 0, kNone, 0});
}

void PlacementSolver::set(Bound b, int64_t value, Reason reason, size_t by, size_t by_end) {
  trail_.push_back({true, reason, b, level(), by, by_end, raised_at_[b], value});
  raised_at_[b] = trail_.size() - 1;
  bounds_[b] = value;
  ++raised_[b];
  for (size_t c : columns_of_[b / 2])
    if (!is_due_[c]) {
      is_due_[c] = true;
      due_columns_.push_back(c);
    }
}

void PlacementSolver::undo_to(size_t to) {
  if (level() <= to) return;
  const size_t start = level_starts_[to];
  for (; trail_.size() > start; trail_.pop_back()) {
    const Entry& entry = trail_.back();
    if (!entry.is_bound) {
      const size_t choice = switch_of(entry.what);
      preferred_[choice] = values_[choice];
      values_[choice] = 0;
      choices_.push(choice);
      continue;
    }
    raised_at_[entry.what] = entry.previous;
    bounds_[entry.what] =
        entry.previous == kNone ? first_bounds_[entry.what] : trail_[entry.previous].value;
    if (entry.reason == Reason::column) column_reasons_.resize(entry.by);
  }
  level_starts_.resize(to);
  followed_ = start;
  // Whatever was due before had its turn before the decision that is undone.
  for (size_t c : due_columns_) is_due_[c] = false;
  due_columns_.clear();
}

}  // namespace attune
