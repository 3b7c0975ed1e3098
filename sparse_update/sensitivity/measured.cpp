#include "sparse_update/sensitivity/measured.h"

#include <chrono>
#include <cmath>
#include <mutex>

#include "graph/ir/error.h"
#include "sparse_update/parallel.h"

namespace attune {
namespace {

// The schemes to measure: the classifier alone, then every choice by itself, in the order in which
// Gains lists them.
std::vector<std::string> schemes_of(const SearchSpace& space) {
  std::vector<std::string> schemes = {scheme_json(space, frozen_point(space))};
  for (int k = 1; k <= space.depth(); ++k) {
    SchemePoint point = frozen_point(space);
    point.bias_last = k;
    schemes.push_back(scheme_json(space, point));
  }
  for (size_t l = 0; l < space.layers.size(); ++l)
    for (size_t o = 0; o < space.layers[l].options.size(); ++o) {
      SchemePoint point = frozen_point(space);
      point.options[l] = static_cast<int>(o);
      schemes.push_back(scheme_json(space, point));
    }
  return schemes;
}

}  // namespace

Gains measured_gains(const Model& model, const CompileOptions& options, const SearchSpace& space,
                     TaskExamples& examples, const MeasureOptions& measure,
                     const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  FineTuner tuner(model, options, measure.cache);
  const std::vector<std::string> schemes = schemes_of(space);
  std::vector<Reached> reached(schemes.size());
  std::mutex reporting;
  size_t done = 0, run = 0;
  const auto start = Clock::now();
  for_each_in_parallel(schemes.size(), measure.threads, [&](size_t i) {
    bool known = false;
    reached[i] = tuner.run(schemes[i], examples.training, examples.validation, measure, &known);
    const std::lock_guard lock(reporting);
    ++done;
    if (!known) ++run;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (progress)
      progress("sensitivity", done, schemes.size(),
               run == 0 ? -1
                        : seconds / static_cast<double>(run) *
                              static_cast<double>(schemes.size() - done));
  });

  const bool classifies = options.loss == Loss::cross_entropy;
  const auto value = [&](const Reached& r) { return classifies ? r.accuracy : -r.loss; };
  Gains gains;
  gains.unit = classifies ? "accuracy" : "loss";
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
