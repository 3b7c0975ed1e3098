#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "attune/dataset.h"
#include "attune/plan.h"
#include "attune/session.h"
#include "graph/import/model.h"

namespace attune {

struct VerifyOptions {
  int examples = 4;   // as many of the data's first ones, or random ones; at least one batch is run
  uint64_t seed = 1;  // of random inputs, where there is no data
  BackendChoice backend = BackendChoice::best;  // of the session that is compared
  int threads = 1;
};

// How far one tensor is from what the model says. Errors are ||ours - model|| / ||model||.
struct TensorDifference {
  std::string tensor;      // its name in the model
  std::string node;        // the plan's step that computes it, or "parameter", "constant"
  std::string program;     // "predict", "train_step", "state", "constants"
  std::string arithmetic;  // "f64": what the plan means; "session": what the device computes
  double relative_error = 0;
  double max_abs = 0;  // the largest difference of an element ...
  int64_t index = 0;   // ... which is this one, counted in the model's layout
  double expected = 0, actual = 0;
};

// A plan held against its model, tensor by tensor.
struct VerifyReport {
  int examples = 0;
  int tensors = 0;     // of the model, compared in every way below
  int parameters = 0;  // initializers compared bit for bit
  // What the plan means, interpreted in double, and what a session computes, both against the model
  // interpreted in double.
  double exact_tolerance = 0, session_tolerance = 0;
  TensorDifference worst_exact, worst_session;
  // Mean loss of train_step's batch: of the model and of what the plan means, both in double, and
  // as the session computes it.
  double loss_model = 0, loss_plan = 0, loss_session = 0;
  // The first tensor in execution order that is beyond its tolerance.
  std::optional<TensorDifference> first;

  bool ok() const { return !first.has_value(); }
  std::string json() const;
};

// Holds a plan against the model that it was compiled from: initial parameters bit for bit, then
// every tensor that plan and model share while predicting and while training, then the loss. The
// model is imported again and runs node by node in double, without any of the compiler's passes.
// `data` may be null: random inputs. Throws Error where the plan was compiled from another model or
// the data do not fit; a difference is not an error but the report's `first`.
VerifyReport verify_plan_against_model(const Plan& plan, const Model& model, Dataset* data,
                                       const VerifyOptions& options = {});

}  // namespace attune
