#pragma once

#include <cstdint>
#include <vector>

#include "attune/session.h"
#include "cli/step_phases.h"

namespace attune::cli {

// Median times of a program's repeats, in seconds.
struct ProgramTimes {
  ProgramKind kind = ProgramKind::train_step;
  double total = 0, fastest = 0;    // of whole runs
  double first = 0;                 // the first run, which meets memory that nobody has touched
  double phases[kPhaseCount] = {};  // each the median of its sums
  std::vector<double> steps;        // each the median of its own times, all of one run
  std::vector<double> fastest_steps;
  double fastest_sum = 0;  // of the steps of one run; no less than that of fastest_steps
  std::vector<Phase> step_phase;
};

// What a step took: the time that went by; or, where only the calling thread works, the processor's
// time for it if that is less, which leaves out other programs' turns. That takes a system call a
// step, which the steps' times leave out and those of whole runs do not.
enum class StepClockKind { elapsed, undisturbed };

// Runs a program `repeats` times after two runs that do not count, on random inputs with a learning
// rate of 0, and puts the session's state back to what the plan holds. Throws Error.
ProgramTimes measure_program(Session& session, ProgramKind kind, int repeats,
                             StepClockKind clock = StepClockKind::elapsed);

}  // namespace attune::cli
