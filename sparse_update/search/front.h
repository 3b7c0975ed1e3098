#pragma once

#include <vector>

#include "sparse_update/search/search.h"

namespace attune {

// The schemes that no other beats in gain and memory, and in gain and time; the smallest first.
struct SchemeFronts {
  std::vector<FoundScheme> memory, time;
};

// About `points` schemes for each front, between the smallest plan and the largest gain, whatever
// the budget: those of the separable problem, compiled to know what they take.
SchemeFronts scheme_fronts(SchemeEvaluator& evaluator, const ChoiceCosts& costs, size_t points,
                           const Progress& progress = {});

}  // namespace attune
