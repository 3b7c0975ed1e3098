#pragma once

#include <cstdint>

#include "attune/dataset.h"
#include "attune/session.h"
#include "sparse_update/pipeline/compile.h"

namespace attune {

// A model whose classifier has learned the task: the gradients of a fresh one say little about the
// layers before it. Trains the classifier alone, with a cosine from `rate` to zero. Compile the
// result with `options` but without `classes`. Throws Error.
ModelPtr warm_up_head(const Model& model, CompileOptions options, Dataset& training, int64_t epochs,
                      double rate, const SessionOptions& session, uint64_t seed);

}  // namespace attune
