#pragma once

#include <string>

#include "sparse_update/progress.h"
#include "sparse_update/sensitivity/fine_tuner.h"
#include "sparse_update/sensitivity/gains.h"

namespace attune {

// How choices are fine-tuned: all alike.
struct MeasureOptions : FineTuning {
  int threads = 1;               // choices at a time
  std::string cache;             // a file of JSON lines; "": none
  ResultCache::Lost cache_lost;  // told where it cannot grow, from any of the threads
};

// The gains of every choice of the space, by a short fine-tuning of each: the accuracy (where the
// model learns numbers: the loss) on `validation` after training it together with the classifier,
// over that of the classifier trained alone. A run that diverges has a gain of -infinity. Results
// are added to the cache as they come and read from it the next time; they are known again by a
// hash of the model, the examples, the options and the choice. `model` as warm_up_head gives it.
// Throws Error.
Gains measured_gains(const Model& model, const CompileOptions& options, const SearchSpace& space,
                     TaskExamples& examples, const MeasureOptions& measure,
                     const Progress& progress = {});

}  // namespace attune
