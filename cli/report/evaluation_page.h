#pragma once

#include <string>

#include "attune/trainer.h"
#include "cli/scores.h"

namespace attune::cli {

// What `evaluate` found: one HTML page, with the confusion matrix as a picture.
struct EvaluationReport {
  const LoadedPlan& loaded;
  const Scores& scores;
  Evaluation evaluation;
  std::string data, parameters;
};
std::string evaluation_page(const EvaluationReport& report);

}  // namespace attune::cli
