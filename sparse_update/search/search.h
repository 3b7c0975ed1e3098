#pragma once

#include <cstdint>
#include <vector>

#include "sparse_update/pipeline/budget.h"
#include "sparse_update/progress.h"
#include "sparse_update/search/evaluate.h"
#include "sparse_update/search/knapsack.h"

namespace attune {

struct SearchOptions {
  Budget budget;
  size_t evaluations = 400;  // schemes that evolution may compile
  uint64_t seed = 0;
};

struct SearchResult {
  FoundScheme best;
  // No scheme of the space gains more than this within the budget, as far as costs that add up
  // can tell: equal to best.gain where the search is over, infinite where
  // that is not known.
  double bound = 0;
  size_t evaluations = 0;            // schemes compiled
  std::vector<FoundScheme> fitting;  // of these, those within the budget, the largest gain first
};

// What every choice adds to a plan, found by compiling each once: the biases' plans as the options
// say, those with a weight without tiling.
class ChoiceCosts {
 public:
  ChoiceCosts(SchemeEvaluator& evaluator, const Progress& progress);

  // The problem in which costs add up. `caution` 0: what a choice adds at the very least, which
  // leaves out the arena, as its fullest moment may be another; 1: the activations that it keeps
  // for the backward pass, too.
  SeparableProblem problem(double caution) const;

 private:
  const Gains& gains_;
  std::vector<Cost> bias_;                      // [k]
  std::vector<PlainCost> plain_bias_;           // [k]
  std::vector<std::vector<PlainCost>> weight_;  // [layer][option], with the fewest biases
};

// The scheme of the largest gain within a budget. Costs of state and time add up, so that a
// knapsack finds the best scheme if only they matter, and a bound on it if not; where the arena or
// the workspace decides, compiling corrects the knapsack, and evolution searches on. The same
// options give the same scheme, whatever the number of threads. Throws Error where nothing fits:
// what the smallest plan takes, and for what.
SearchResult search_scheme(SchemeEvaluator& evaluator, const ChoiceCosts& costs,
                           const SearchOptions& options, const Progress& progress = {});

}  // namespace attune
