#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "attune/session.h"

namespace attune {

// What a model made of examples, one by one.
struct Judged {
  std::vector<double> losses;
  std::vector<double> right;  // the share of an example's positions; empty: no classes

  double loss() const;      // the mean; infinite where there is none
  double accuracy() const;  // 0 .. 1
  bool has_classes() const { return !right.empty(); }
};

// By the session's program `evaluate`, which must take one example at a time. False where a loss is
// not finite: training has diverged. Throws Error where an example cannot be read.
bool judge(Session& session, Dataset& data, Judged* judged);

// What guessing gets: always the commonest class, and its share of the examples for a probability.
// `labels`: of every example, one for each position.
Judged guessed_classes(const std::vector<std::vector<int32_t>>& labels);
// The same for numbers: the mean of each, and the squared distance from it.
Judged guessed_numbers(const std::vector<std::vector<double>>& targets);

// Whether `a` is worse than `b`, of the same examples, by more than so many standard errors of the
// mean difference: by its losses, or by how many are right.
bool clearly_worse(const Judged& a, const Judged& b, double standard_errors);

// Whether `after` is better than what there was, beyond what chance gives to the best of several
// tries. It must be better than guessing: by its losses (more than 2.3 standard errors of the
// differences), and where there are classes also by how many are right (a chance below 1 %). And
// it must be no worse than `before` in how many are right and better in its losses (more than half
// a standard error). `before` and `guessed` may be null. `why`: what decided, for people.
bool is_better(const Judged& after, const Judged* before, const Judged* guessed, std::string* why);

}  // namespace attune
