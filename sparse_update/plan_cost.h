#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/session.h"

namespace attune {

// What a plan takes, in the parts that a user sees. Bytes, but for macs and ms.
struct PlanCost {
  size_t state = 0, arena = 0, workspace = 0, session = 0;
  size_t constants = 0;
  size_t program = 0;  // the rest of the file: steps, initial state, headers
  uint64_t macs = 0;   // multiply-adds of a training step
  double ms = 0;       // a training step; 0 where no speed is known

  size_t memory() const { return state + arena + workspace + session; }
  size_t flash() const { return constants + program; }
};

// What the cost depends on beside the plan.
struct CostSettings {
  SessionOptions session;      // backend and threads of the session that is counted
  double macs_per_second = 0;  // of the device; 0: not known
};

// The one place that tells what a plan takes: memory from the memory plan and from a session that
// is made of it, time from its multiply-adds. Throws Error where no session can be made.
PlanCost plan_cost(const Plan& plan, const CostSettings& settings);
PlanCost plan_cost(const Session& session, double macs_per_second);

// Multiply-adds a second of this machine in a session's train_step, the fastest of a few runs. The
// session's state stays as it is.
double measure_macs_per_second(Session& session);

}  // namespace attune
