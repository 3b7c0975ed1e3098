#pragma once

#include <vector>

#include "cli/arena_trace.h"

namespace attune::cli {

// The parts of a training step, as people count them.
enum class Phase { forward, backward, update };
inline constexpr int kPhaseCount = 3;
constexpr const char* phase_name(Phase phase) {
  constexpr const char* kNames[] = {"forward", "backward", "update"};
  return kNames[static_cast<int>(phase)];
}

// The phase of every step of a program: by the operator's kind (losses and metrics are forward),
// except that what is computed from a gradient is backward whatever its operator, and what only
// has no gradient itself is forward.
std::vector<Phase> step_phases(const format::Program& program, const ArenaTrace& trace);
std::vector<Phase> step_phases(const format::Program& program);

}  // namespace attune::cli
