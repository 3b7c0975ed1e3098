#pragma once

#include <cstdint>
#include <vector>

#include "sparse_update/search/search.h"

namespace attune {

// Improves on schemes by mutation and crossover, for as many compilations as the options allow, or
// until `bound` is reached. Schemes that cannot win are not compiled: those that gain no more than
// the best that fits, and those whose costs alone, as `least` adds them up, break the limits.
// `known`: schemes with their costs to start from. Returns the best that fits and where it is;
// none: `found` stays as it was.
bool evolve(const SearchSpace& space, const Gains& gains, const SeparableProblem& least,
            const Amounts& limits, double bound, std::vector<FoundScheme> known,
            SchemeEvaluator& evaluator, const SearchOptions& options, const Progress& progress,
            FoundScheme* found);

}  // namespace attune
