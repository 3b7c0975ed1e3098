#include "sparse_update/sensitivity/measured.h"

#include <cmath>

#include "graph/ir/error.h"
#include "sparse_update/parallel.h"

namespace attune {

Gains measured_gains(const Model& model, const CompileOptions& options, const SearchSpace& space,
                     TaskExamples& examples, const MeasureOptions& measure,
                     const Progress& progress) {
  FineTuner tuner(model, options, measure.cache, measure.cache_lost);
  const std::vector<SchemePoint> choices = single_choices(space, false);
  std::vector<Reached> reached(choices.size());
  WorkCount count(progress, "sensitivity", choices.size());
  for_each_in_parallel(choices.size(), measure.threads, [&](size_t i) {
    bool known = false;
    reached[i] = tuner.run(scheme_json(space, choices[i]), examples.training, examples.validation,
                           measure, &known);
    count.add(1, !known);
  });

  const bool is_right = classifies(options.loss);
  const auto value = [&](const Reached& r) { return is_right ? r.accuracy : -r.loss; };
  Gains gains;
  gains.unit = is_right ? "accuracy" : "loss";
  gains.base = value(reached[0]);
  if (!std::isfinite(gains.base))
    throw_error("--learning-rate {}: training the classifier alone diverges; give a smaller one",
                measure.rate);
  size_t next = 1;
  const auto gain = [&] { return value(reached[next++]) - gains.base; };
  gains.bias.push_back(0);
  for (int k = 1; k <= space.depth(); ++k) gains.bias.push_back(gain());
  for (const SpaceLayer& layer : space.layers) {
    std::vector<double> row;
    for (size_t o = 0; o < layer.options.size(); ++o) row.push_back(gain());
    gains.weight.push_back(std::move(row));
  }
  return gains;
}

}  // namespace attune
