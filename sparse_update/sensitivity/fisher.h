#pragma once

#include <cstdint>
#include <vector>

#include "attune/dataset.h"
#include "attune/session.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/progress.h"
#include "sparse_update/sensitivity/gains.h"

namespace attune {

// What the gradients of single examples tell of one parameter, by channel: the trace of the Fisher
// information, which is their mean square, and the square of their mean, without the bias that the
// number of examples gives it (it may be negative).
struct GradientMoments {
  std::vector<double> trace, squared_mean;
};
struct FisherInformation {
  std::vector<GradientMoments> weight;  // [layer], by input channel
  std::vector<GradientMoments> bias;    // [layer], one sum for all channels; empty: no bias
};

// Runs the complete backward pass for one example at a time, of the first `count`, in several
// threads; the result does not depend on how many. Channels may be ranked by the trace, as in
// TinyTrain (Kwon et al., ICML 2024, arXiv 2307.09988). `model` as warm_up_head gives it.
FisherInformation fisher_information(const Model& model, const CompileOptions& options,
                                     const SearchSpace& space, Dataset& examples, int64_t count,
                                     const SessionOptions& session, int threads,
                                     const Progress& progress = {});

// By how much a step of gradient descent is expected to lower the loss,
//   rate m - rate^2 / 2 * share t^2 / batch
// with the squared mean gradient m and the trace t of what a choice trains: the first term is what
// a small step gains, the second what the noise of its gradient loses by curvature, for which the
// Fisher information stands. A layer whose gradients are too large for the rate has a negative
// gain. `share`, kCurvatureShare, is how much of the squared trace curvature is; it is fitted to
// measured gains. `rate` is that of the long run, momentum included; 0: m alone, for optimizers
// that set the size of their own steps.
Gains fisher_gains(const SearchSpace& space, const FisherInformation& information, double rate,
                   int batch);
inline constexpr double kCurvatureShare = 0.01;

}  // namespace attune
