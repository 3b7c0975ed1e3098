#pragma once

#include <string>

#include "sparse_update/cost/cost.h"
#include "sparse_update/pipeline/budget.h"
#include "sparse_update/pipeline/compile.h"

namespace attune {

struct CompiledWithin {
  Compiled compiled;
  Cost cost;
};

// Model to plan, within a budget. What makes the arena smaller costs time, so it is done only where
// the memory asks for it, and as far as it does: first the plan as `options` say; then, with
// `tile`, in strips, in as few steps as fit; then in micro-batches, as large as fit, where
// `options` do not say how large; then, with `tile`, activations computed twice. Throws Error where
// nothing fits: what the smallest of these plans needs, and for what. `subject` begins the message.
CompiledWithin compile_within(const Model& model, const CompileOptions& options, bool tile,
                              const Budget& budget, CostModel& costs, const std::string& subject);

}  // namespace attune
