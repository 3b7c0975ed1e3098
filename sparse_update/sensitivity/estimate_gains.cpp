#include "sparse_update/sensitivity/estimate_gains.h"

#include "sparse_update/sensitivity/fisher.h"

namespace attune {
namespace {

// The rate of plain gradient descent that an optimizer comes to; 0 where it sets its own steps.
double descent_rate(const Optimizer& optimizer, double rate) {
  switch (optimizer.kind) {
    case OptimizerKind::sgd:
      return rate;
    case OptimizerKind::momentum:
      return rate / (1 - optimizer.momentum);
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      break;
  }
  return 0;
}

}  // namespace

Estimate estimate_gains(const Model& model, const CompileOptions& options,
                        const ExamplesInMemory& all, const EstimateOptions& estimate,
                        const Progress& progress) {
  TaskExamples examples = halves(all).front();
  Estimate result;
  result.space = search_space(forward_graph(model, options, 1));
  if (progress) progress("training the classifier", 0, 1, -1);
  const ModelPtr warm =
      warm_up_head(model, options, examples.training, estimate.head_epochs, estimate.head_rate,
                   estimate.measure.session, estimate.measure.seed);
  CompileOptions kept = options;
  kept.classes = 0;
  if (estimate.estimator == Estimator::fisher || estimate.fisher_channels) {
    const FisherInformation information =
        fisher_information(*warm, kept, result.space, examples.training, estimate.fisher_examples,
                           estimate.measure.session, estimate.measure.threads, progress);
    if (estimate.fisher_channels) {
      std::vector<std::vector<double>> scores;
      for (const GradientMoments& moments : information.weight) scores.push_back(moments.trace);
      rank_channels(result.space, scores);
    }
    result.gains =
        fisher_gains(result.space, information,
                     descent_rate(options.optimizer, estimate.measure.rate), options.batch);
  }
  if (estimate.estimator == Estimator::measured)
    result.gains = measured_gains(*warm, kept, result.space, examples, estimate.measure, progress);
  return result;
}

}  // namespace attune
