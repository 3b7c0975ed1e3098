#pragma once

#include <cstdint>
#include <string>

#include "attune/plan.h"
#include "sparse_update/pipeline/compile.h"

namespace attune {

// The options that decide a plan's forward graphs, as they were given to `compile`: batches, input
// shapes, classes and seed of a fresh classifier, preprocessing, loss, type. Throws Error where the
// plan does not tell them.
CompileOptions options_of_plan(const Plan& plan);

// Throws Error where a plan was compiled from another model.
void check_compiled_from(const Plan& plan, const Model& model);

// The backend that a plan was compiled for, by name, and the memory that it then fits in; empty and
// 0 where the plan does not say.
struct PlannedBackend {
  std::string name;
  uint64_t memory_budget = 0;
};
PlannedBackend backend_of_plan(const Plan& plan);

// The label that the plan's data have at positions that do not count.
int32_t ignored_label_of_plan(const Plan& plan);

// How many examples a training step goes through at a time; 0: all of its batch.
int micro_batch_of_plan(const Plan& plan);

}  // namespace attune
