#pragma once

#include <vector>

#include "attune/session.h"
#include "sparse_update/cost/rates.h"

namespace attune {

// The estimated times of a program's steps, in order; of those that are repeated, of all times.
struct ProgramEstimate {
  ProgramKind kind = ProgramKind::train_step;
  std::vector<StepTime> steps;

  double ms() const;
  double measured_share() const;  // of the time that steps take that were measured
};

// Estimates the programs of a session, with the backends that it has bound. Its bytes are
// Session::memory().
std::vector<ProgramEstimate> estimate(const Session& session, const Rates& rates);

// What a target tells of the steps of a session's program, in order.
std::vector<StepWork> program_work(const Session& session, ProgramKind kind);

}  // namespace attune
