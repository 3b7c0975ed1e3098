#include "graph/memory/exact/placement_solver.h"

#include <algorithm>
#include <numeric>

namespace attune {
namespace {

constexpr int64_t kRestart = 100;      // failures, times a term of Luby's sequence
constexpr size_t kMostLearned = 4000;  // clauses, and more with each time that half is forgotten
constexpr size_t kMoreLearned = 500;
constexpr size_t kFewLevels = 3;           // clauses that are never forgotten
constexpr int64_t kFullEnough[] = {7, 8};  // of the arena: columns worth looking at

// Luby, Sinclair and Zuckerman, 1993: 1 1 2 1 1 2 4 1 1 2 1 1 2 4 8 ...
int64_t luby(int64_t i) {
  int64_t size = 1;
  while (size < i + 1) size = 2 * size + 1;
  for (; size - 1 != i; i %= size) size /= 2;
  return (size + 1) / 2;
}

}  // namespace

PlacementSolver::PlacementSolver(const std::vector<const Storage*>& storages, int64_t bytes)
    : storages_(storages),
      pairs_(placement_pairs(storages)),
      columns_(placement_columns(storages, bytes / kFullEnough[1] * kFullEnough[0])),
      columns_of_(storages.size()),
      edges_from_(2 * storages.size()),
      raised_at_(2 * storages.size(), kNone),
      raised_(2 * storages.size()),
      is_due_(columns_.size()),
      required_at_(2 * storages.size(), kNone),
      required_value_(2 * storages.size()) {
  impossible_ = bytes < 0;
  for (size_t s = 0; s < storages.size(); ++s) {
    if (storages[s]->bytes > bytes) impossible_ = true;
    bounds_.push_back(0);
    bounds_.push_back(round_up(storages[s]->bytes - bytes, 2 * s + 1));
  }
  first_bounds_ = bounds_;
  for (size_t c = 0; c < columns_.size(); ++c) {
    for (const ColumnSegment& segment : columns_[c])
      if (columns_of_[segment.storage].empty() || columns_of_[segment.storage].back() != c)
        columns_of_[segment.storage].push_back(c);
    std::vector<size_t> order(columns_[c].size());
    std::iota(order.begin(), order.end(), 0);
    for (int side = 0; side < 2; ++side) by_begin_.push_back(order), by_end_.push_back(order);
  }
  for (const PlacementPair& pair : pairs_) add_pair(pair);
  given_clauses_ = clauses_.size();
  for (Bound b = 0; b < bounds_.size(); ++b) set(b, bounds_[b], Reason::given, 0, 0);
}

void PlacementSolver::add_pair(const PlacementPair& pair) {
  first_switch_.push_back(values_.size());
  const size_t first = 2 * pair.first, second = 2 * pair.second;
  for (size_t g = 1; g < pair.gaps.size(); ++g) {
    const Literal later = 2 * values_.size(), earlier = later + 1;
    values_.push_back(0);
    preferred_.push_back(1);
    known_at_.push_back(kNone);
    is_required_.push_back(false);
    edges_of_literal_.resize(later + 2);
    watches_.resize(later + 2);
    // first - second >= low, and so for the lowest offsets and for the highest
    add_edge(later, second, first, pair.gaps[g].low);
    add_edge(later, first + 1, second + 1, pair.gaps[g].low);
    // first - second <= high
    add_edge(earlier, first, second, -pair.gaps[g - 1].high);
    add_edge(earlier, second + 1, first + 1, -pair.gaps[g - 1].high);
    if (g > 1) add_clause({earlier, later - 2}, 1);
    // Large storages first, before anything has failed.
    const int64_t bytes = std::min(storages_[pair.first]->bytes, storages_[pair.second]->bytes);
    choices_.add(static_cast<double>(bytes) * 1e-9);
  }
}

void PlacementSolver::add_edge(Literal literal, Bound from, Bound to, int64_t distance) {
  edges_from_[from].push_back(edges_.size());
  edges_of_literal_[literal].push_back(edges_.size());
  edges_.push_back({literal, from, to, distance});
}

size_t PlacementSolver::add_clause(std::vector<Literal> literals, size_t levels) {
  watches_[literals[0]].push_back({clauses_.size(), literals[1]});
  watches_[literals[1]].push_back({clauses_.size(), literals[0]});
  clauses_.push_back({std::move(literals), levels});
  return clauses_.size() - 1;
}

void PlacementSolver::prefer(const std::vector<int64_t>& offsets) {
  for (size_t p = 0; p < pairs_.size(); ++p) {
    const int64_t distance = offsets[pairs_[p].first] - offsets[pairs_[p].second];
    for (size_t g = 1; g < pairs_[p].gaps.size(); ++g)
      preferred_[first_switch_[p] + g - 1] = distance >= pairs_[p].gaps[g].low ? 1 : -1;
  }
}

Packable PlacementSolver::solve(int64_t most_work) {
  int64_t restarts = 0, failures_left = kRestart;
  most_work_ = most_work;
  size_t most_learned = kMostLearned;
  while (!impossible_) {
    if (!propagate()) {
      learn();
      --failures_left;
      continue;
    }
    if (work_ >= most_work) return Packable::unknown;
    if (failures_left <= 0) {
      undo_to(0);
      failures_left = kRestart * luby(++restarts);
      if (clauses_.size() - given_clauses_ > most_learned) {
        forget_half();
        most_learned += kMoreLearned;
      }
      continue;
    }
    size_t choice = kNone;
    while (choice == kNone && !choices_.empty()) {
      choice = choices_.pop();
      if (values_[choice] != 0) choice = kNone;
    }
    if (choice == kNone) {
      // One gap is left of each pair, and the lowest offsets keep to all of them.
      offsets_.clear();
      for (size_t s = 0; s < storages_.size(); ++s) offsets_.push_back(bounds_[2 * s]);
      return Packable::yes;
    }
    decide(choice);
  }
  return Packable::no;
}

void PlacementSolver::decide(size_t choice) {
  work_ += 5;
  level_starts_.push_back(trail_.size());
  set(2 * choice + (preferred_[choice] > 0 ? 0 : 1), Reason::given, 0);
}

// From the conflict to a clause that would have prevented it, and back to where that says
// something new. What the conflict comes from is followed back, the latest first, until one literal
// is left of the last decision's consequences (the first unique implication point: Marques-Silva
// and Sakallah, 1996); bounds are followed back to literals.
void PlacementSolver::learn() {
  for (Literal l : conflict_.literals) require(l);
  for (const Requirement& r : conflict_.bounds) require(r.bound, r.value);
  std::vector<Literal> learned;
  std::vector<size_t> levels;  // of all but the first
  for (size_t at; (at = pop_required()) != kNone;) {
    const Entry entry = trail_[at];
    ++work_;
    if (entry.is_bound) {
      required_at_[entry.what] = kNone;
      require_reasons(entry, required_value_[entry.what]);
      continue;
    }
    is_required_[switch_of(entry.what)] = false;
    choices_.bump(switch_of(entry.what));
    const size_t next = next_required();
    const bool is_last_of_level = next == kNone || trail_[next].level < entry.level;
    if (learned.empty() && !is_last_of_level) {
      require_reasons(entry, 0);
      continue;
    }
    if (!learned.empty()) levels.push_back(entry.level);
    learned.push_back(opposite(entry.what));
  }
  choices_.decay();
  if (learned.empty()) {
    impossible_ = true;
    return;
  }
  // Entries came from the last to the first, so the second literal is of the highest level.
  undo_to(levels.empty() ? 0 : levels.front());
  if (learned.size() == 1) return set(learned[0], Reason::given, 0);
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  const Literal now = learned[0];
  set(now, Reason::clause, add_clause(std::move(learned), levels.size() + 1));
}

void PlacementSolver::require(Literal l) {
  const size_t at = known_at_[switch_of(l)];
  if (is_required_[switch_of(l)] || trail_[at].level == 0) return;
  is_required_[switch_of(l)] = true;
  required_.push_back(at);
  std::push_heap(required_.begin(), required_.end());
}

// Asks for the first entry that says so. One entry of a bound is enough: the later one says more.
void PlacementSolver::require(Bound b, int64_t value) {
  size_t at = raised_at_[b];
  for (size_t before; (before = trail_[at].previous) != kNone && trail_[before].value >= value;)
    at = before;
  if (trail_[at].level == 0) return;
  if (required_at_[b] != kNone && required_at_[b] >= at) {
    if (required_at_[b] == at) required_value_[b] = std::max(required_value_[b], value);
    return;
  }
  required_at_[b] = at;
  required_value_[b] = value;
  required_.push_back(at);
  std::push_heap(required_.begin(), required_.end());
}

// Why a literal holds, or a bound is at least `value`, which may be less than the entry says.
void PlacementSolver::require_reasons(const Entry& entry, int64_t value) {
  switch (entry.reason) {
    case Reason::given:
      return;
    case Reason::clause:
      for (Literal l : clauses_[entry.by].literals)
        if (l != entry.what) require(opposite(l));
      return;
    case Reason::edge: {
      const Edge& edge = edges_[entry.by];
      if (entry.is_bound) {
        require(edge.literal);
        const int64_t alignment = storages_[edge.to / 2]->alignment;
        require(edge.from, round_up(value, edge.to) - alignment + 1 - edge.distance);
        return;
      }
      // from + distance was more than `to` could be
      size_t at = raised_at_[edge.to ^ 1];
      while (at > known_at_[switch_of(entry.what)]) at = trail_[at].previous;
      require(edge.to ^ 1, trail_[at].value);
      require(edge.from, 1 - trail_[at].value - edge.distance);
      return;
    }
    case Reason::column:
      for (size_t i = entry.by; i < entry.by_end; ++i)
        require(column_reasons_[i].bound, column_reasons_[i].value);
      return;
  }
}

// The latest entry that is asked for, or kNone.
size_t PlacementSolver::next_required() {
  while (!required_.empty()) {
    const Entry& entry = trail_[required_.front()];
    if (!entry.is_bound || required_at_[entry.what] == required_.front()) return required_.front();
    std::pop_heap(required_.begin(), required_.end());  // a later one of this bound was asked for
    required_.pop_back();
  }
  return kNone;
}

size_t PlacementSolver::pop_required() {
  const size_t at = next_required();
  if (at == kNone) return kNone;
  std::pop_heap(required_.begin(), required_.end());
  required_.pop_back();
  return at;
}

// Of the clauses that were learned, those of many levels: they rarely say anything.
void PlacementSolver::forget_half() {
  std::vector<Clause> learned(
      std::make_move_iterator(clauses_.begin() + static_cast<std::ptrdiff_t>(given_clauses_)),
      std::make_move_iterator(clauses_.end()));
  clauses_.resize(given_clauses_);
  for (auto& watches : watches_)
    watches.erase(std::remove_if(watches.begin(), watches.end(),
                                 [&](const Watch& w) { return w.clause >= given_clauses_; }),
                  watches.end());
  std::stable_sort(learned.begin(), learned.end(),
                   [](const Clause& a, const Clause& b) { return a.levels < b.levels; });
  for (size_t c = 0; c < learned.size(); ++c)
    if (c < learned.size() / 2 || learned[c].levels <= kFewLevels)
      add_clause(std::move(learned[c].literals), learned[c].levels);
}

}  // namespace attune
