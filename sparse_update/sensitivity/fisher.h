#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/dataset.h"
#include "engine/session.h"
#include "sparse_update/compile.h"
#include "sparse_update/sensitivity/gains.h"

namespace attune {

// Fisher information of every layer's weight, by input channel, and of its bias.
struct FisherInformation {
  std::vector<std::vector<double>> weight;  // [layer][input channel]
  std::vector<double> bias;                 // [layer]
};

// Called now and then with how many of how many examples are done.
using FisherProgress = std::function<void(int64_t done, int64_t of)>;

// Runs the complete backward pass for one example at a time, of the first `count`, in several
// threads; the result does not depend on how many. `model` as warm_up_head gives it.
FisherInformation fisher_information(const OnnxModel& model, const CompileOptions& options,
                                     const SearchSpace& space, Dataset& examples, int64_t count,
                                     const SessionOptions& session, int threads,
                                     const FisherProgress& progress = {});

// Gains that add up the information of what a choice trains.
Gains fisher_gains(const SearchSpace& space, const FisherInformation& information);

}  // namespace attune
