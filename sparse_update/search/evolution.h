#pragma once

#include <optional>
#include <vector>

#include "engine/random.h"
#include "sparse_update/search/search.h"

namespace attune {

// Changes one thing: how deep biases are trained, mostly by a little, or the share of one layer.
void mutate(const SearchSpace& space, SchemePoint& point, Random& random);

// Freezes weights before the last `bias_last` layers: the backward pass does not go there.
void trim(SchemePoint& point);

// Improves on schemes by mutation and crossover, for as many compilations as the options allow, or
// until `bound` is reached. Schemes that cannot win are not compiled: those that gain no more than
// the best that fits, and those whose costs alone, as `least` adds them up, break the limits.
// `known`: schemes with their costs to start from. Returns the best that fits, if any does.
std::optional<FoundScheme> evolve(SchemeEvaluator& evaluator, const SeparableProblem& least,
                                  const Amounts& limits, double bound,
                                  const std::vector<FoundScheme>& known,
                                  const SearchOptions& options, const Progress& progress);

}  // namespace attune
