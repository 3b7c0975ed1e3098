#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/common.h"
#include "cli/compile_options.h"
#include "sparse_update/sensitivity/estimate_gains.h"

namespace attune::cli {

// The options of what estimates gains: `sensitivity`, `search`, and `compile --scheme auto`.
struct SensitivityOptions {
  std::string data, estimator = "fisher", channels = "norm", cache;
  int64_t examples = 2000, steps = 100, head_epochs = 5, finalists = 0, finalist_steps = 1000;
  double learning_rate = 0.0005, head_learning_rate = 0.005;
  int jobs = 0;
  DataOptions reading;
  // What makes the data, where `data` is no file but only names it; the dataset is for train_step.
  std::function<std::unique_ptr<Dataset>(const Session&)> open;

  // `required`: --data is. `searches`: schemes are found, too.
  void add(CLI::App* verb, bool required, bool searches);
  // Throws Error.
  EstimateOptions options(const SessionChoice& session, uint64_t seed,
                          const std::string& output) const;
  int threads() const;
};

// The task that gains are estimated on: some of the user's data, as the model takes them.
ExamplesInMemory open_task(const Model& model, const CompileOptions& options,
                           const SensitivityOptions& sensitivity, bool quiet);

}  // namespace attune::cli
