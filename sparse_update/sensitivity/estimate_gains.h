#pragma once

#include <cstdint>

#include "sparse_update/sensitivity/gains.h"
#include "sparse_update/sensitivity/measured.h"

namespace attune {

enum class Estimator { fisher, measured };

struct EstimateOptions {
  Estimator estimator = Estimator::fisher;
  int64_t head_epochs = 5;  // of training the classifier alone, before anything is estimated
  double head_rate = 0.005;
  int64_t fisher_examples = 1000;
  bool fisher_channels = false;  // choose channels by Fisher information, not by norm
  MeasureOptions measure;        // its session and threads serve both estimators
};

struct Estimate {
  SearchSpace space;
  Gains gains;
};

// The space of a model, and what its choices gain on a task: trains the classifier alone, then
// estimates from there. Throws Error.
Estimate estimate_gains(const Model& model, const CompileOptions& options,
                        const ExamplesInMemory& all, const EstimateOptions& estimate,
                        const Progress& progress = {});

}  // namespace attune
