#pragma once

#include <optional>
#include <vector>

#include "attune/trainer.h"
#include "cli/scores.h"

namespace attune::cli {

// Means over all outputs.
struct Errors {
  double mae = 0, rmse = 0;
  std::optional<double> r2;
};
Errors errors_of(const std::vector<NumberScore>& numbers);

// What `evaluate --json` tells of a measurement.
Json evaluation_json(const LoadedPlan& loaded, const Evaluation& evaluation, const Scores& scores);

}  // namespace attune::cli
