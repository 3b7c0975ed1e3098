#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "attune/session.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/sensitivity/examples.h"
#include "sparse_update/sensitivity/result_cache.h"

namespace attune {

// How schemes are fine-tuned for a short while.
struct FineTuning {
  int64_t steps = 100;   // with a cosine to zero
  double rate = 0.0005;  // that it starts from
  uint64_t seed = 0;     // of the order of the examples
  SessionOptions session;
};

// What a scheme reaches; as it is here, where training diverges.
struct Reached {
  double accuracy = -std::numeric_limits<double>::infinity();
  double loss = std::numeric_limits<double>::infinity();
};

// A model whose classifier has learned the task: the gradients of a fresh one say little about the
// layers before it. Trains the classifier alone, with a cosine from `rate` to zero. Compile the
// result with `options` but without `classes`. Throws Error.
ModelPtr warm_up_head(const Model& model, CompileOptions options, Dataset& training, int64_t epochs,
                      double rate, const SessionOptions& session, uint64_t seed);

// Fine-tunes schemes of one model, and judges them. Results are kept: they are known again by a
// hash of the model, the examples and all settings, and by the scheme. Several threads may use one.
class FineTuner {
 public:
  // `model` and `options` must outlive it. `cache`: a file of JSON lines; "": none. `cache_lost`:
  // as ResultCache has it.
  FineTuner(const Model& model, const CompileOptions& options, const std::string& cache,
            ResultCache::Lost cache_lost = {});

  // Compiles a scheme, trains it on `training` with one thread and judges it by `validation`.
  // `known`: whether the result was there. Throws Error.
  Reached run(const std::string& scheme, ExamplesInMemory& training, ExamplesInMemory& validation,
              const FineTuning& how, bool* known = nullptr);

 private:
  const Model& model_;
  const CompileOptions& options_;
  ResultCache cache_;
};

}  // namespace attune
