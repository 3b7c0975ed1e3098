#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/memory/exact/choice_heap.h"
#include "graph/memory/exact/placement_problem.h"
#include "graph/memory/storage.h"

namespace attune {

enum class Packable : uint8_t { yes, no, unknown };

// Finds offsets of storages within an arena, or that there are none. Of every two storages that
// meet it decides on which side of one another they lie, keeps the offsets that are still possible,
// and learns from every failure a clause that keeps it from failing for the same reasons again:
// lazy clause generation (Ohrimenko, Stuckey and Codish, 2009). The same calls always give the same
// result.
class PlacementSolver {
 public:
  // The storages must stay. Alignments are powers of two.
  PlacementSolver(const std::vector<const Storage*>& storages, int64_t bytes);

  // Where the storages lie elsewhere, in a larger arena for example: how two of them lie there is
  // tried first.
  void prefer(const std::vector<int64_t>& offsets);

  // Goes on until it knows, or has looked at so many orders and places. After a no or a yes there
  // is nothing more to do.
  Packable solve(int64_t most_work);

  // After a yes: by storage.
  const std::vector<int64_t>& offsets() const { return offsets_; }

 private:
  // A switch is one decision: whether the distance of a pair is in a later gap than a certain one.
  // Literal 2s: it is; 2s + 1: it is not.
  using Literal = size_t;
  // Bound 2s: the lowest offset of storage s; 2s + 1: its highest one, negated: both only grow.
  using Bound = size_t;
  static constexpr size_t kNone = SIZE_MAX;

  // As long as the literal holds, `to` is at least `from` + `distance`.
  struct Edge {
    Literal literal;
    Bound from, to;
    int64_t distance;
  };
  struct Clause {
    std::vector<Literal> literals;  // one of them holds; the first two are watched
    size_t levels;                  // that its literals were known at: the fewer, the better
  };
  struct Watch {
    size_t clause;
    Literal other;  // of the clause: where it holds, there is nothing to do
  };
  struct Requirement {
    Bound bound;
    int64_t value;  // at least
  };
  enum class Reason : uint8_t { given, clause, edge, column };
  // What became known: that a literal holds, or that a bound is at least `value`.
  struct Entry {
    bool is_bound;
    Reason reason;
    size_t what;      // the literal or the bound
    size_t level;     // decisions before it
    size_t by;        // the clause or edge, or the first of the column's requirements
    size_t by_end;    // behind the last of these
    size_t previous;  // entry of the same bound, or kNone
    int64_t value;
  };
  // Why something is impossible.
  struct Conflict {
    std::vector<Literal> literals;
    std::vector<Requirement> bounds;
  };

  void add_pair(const PlacementPair& pair);
  void add_edge(Literal literal, Bound from, Bound to, int64_t distance);
  size_t add_clause(std::vector<Literal> literals, size_t levels);

  static Literal opposite(Literal literal) { return literal ^ 1; }
  static size_t switch_of(Literal literal) { return literal >> 1; }
  bool holds(Literal l) const { return values_[l >> 1] == ((l & 1) != 0 ? -1 : 1); }
  bool is_open(Literal l) const { return values_[l >> 1] == 0; }
  // What bound b may at most be.
  int64_t most(Bound b) const { return -bounds_[b ^ 1]; }
  int64_t round_up(int64_t value, Bound b) const;
  size_t level() const { return level_starts_.size(); }

  // placement_propagation.cpp: what follows. False: nothing is possible, see conflict_. Where the
  // work is used up, true with some things left to follow.
  bool propagate();
  bool propagate_literal(Literal l);
  bool visit(const Watch& watch, Literal not_holding, std::vector<Watch>* watches);
  bool propagate_bound(Bound b);
  bool raise_by_edge(size_t edge);
  bool comes_from_itself(Bound b);
  bool raises_itself(std::vector<size_t> circle);
  bool propagate_column(size_t column, bool from_above);
  bool raise_by_column(Bound b, int64_t value);
  void set(Literal l, Reason reason, size_t by);
  void set(Bound b, int64_t value, Reason reason, size_t by, size_t by_end);
  void undo_to(size_t level);

  // placement_solver.cpp: decisions and clauses.
  void decide(size_t choice);
  void learn();
  void require(Literal l);
  void require(Bound b, int64_t value);
  void require_reasons(const Entry& entry, int64_t value);
  size_t next_required();
  size_t pop_required();
  void forget_half();

  const std::vector<const Storage*>& storages_;
  const std::vector<PlacementPair> pairs_;
  const std::vector<Column> columns_;
  std::vector<size_t> first_switch_;             // by pair
  std::vector<std::vector<size_t>> columns_of_;  // by storage
  std::vector<Edge> edges_;
  std::vector<std::vector<size_t>> edges_from_;        // by bound
  std::vector<std::vector<size_t>> edges_of_literal_;  // by literal
  std::vector<Clause> clauses_;
  std::vector<std::vector<Watch>> watches_;  // by literal
  size_t given_clauses_ = 0;

  // What is known.
  std::vector<int8_t> values_;     // by switch: 1, -1, or 0
  std::vector<int8_t> preferred_;  // by switch
  std::vector<size_t> known_at_;   // by switch, in the trail
  std::vector<int64_t> bounds_, first_bounds_;
  std::vector<size_t> raised_at_;  // by bound, in the trail, or kNone
  std::vector<size_t> raised_;     // by bound: how often since the last decision
  std::vector<Entry> trail_;
  size_t followed_ = 0;  // entries whose consequences are known
  std::vector<size_t> level_starts_;
  std::vector<Requirement> column_reasons_;
  std::vector<size_t> due_columns_;
  std::vector<bool> is_due_;  // by column

  // Of the column that is looked at.
  std::vector<int64_t> begins_, ends_;                  // by segment
  std::vector<std::vector<size_t>> by_begin_, by_end_;  // by column, twice
  std::vector<Requirement> why_;

  // Of the failure that is learned from.
  Conflict conflict_;
  std::vector<size_t> required_;     // a heap of entries
  std::vector<bool> is_required_;    // by switch
  std::vector<size_t> required_at_;  // by bound: the entry, or kNone
  std::vector<int64_t> required_value_;

  ChoiceHeap choices_;
  bool impossible_ = false;
  int64_t work_ = 0, most_work_ = 0;
  std::vector<int64_t> offsets_;
};

}  // namespace attune
