#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/session.h"
#include "sparse_update/compile.h"
#include "sparse_update/sensitivity/examples.h"
#include "sparse_update/sensitivity/gains.h"

namespace attune {

// How each candidate is fine-tuned.
struct MeasureOptions {
  int64_t steps = 100;   // with a cosine to zero
  double rate = 0.0005;  // of all candidates
  uint64_t seed = 0;     // of the order of the examples, the same for all
  SessionOptions session;
  int threads = 1;    // candidates at a time
  std::string cache;  // a file of JSON lines; "": none
};

// What is being done, how far, and the seconds left (negative: not known).
using Progress =
    std::function<void(const std::string& what, size_t done, size_t of, double seconds_left)>;

// The gains of every choice of the space, by a short fine-tuning of each: the accuracy (where the
// model learns numbers: the loss) on `validation` after training it together with the classifier,
// over that of the classifier trained alone. A run that diverges has a gain of -infinity. Results
// are added to the cache as they come and read from it the next time; they are known again by a
// hash of the model, the examples, the options and the choice. `model` as warm_up_head gives it.
// Throws Error.
Gains measured_gains(const OnnxModel& model, const CompileOptions& options,
                     const SearchSpace& space, TaskExamples& examples,
                     const MeasureOptions& measure, const Progress& progress = {});

}  // namespace attune
