#include "cli/step_phases.h"

#include "engine/format/plan_generated.h"
#include "kernels/op.h"

namespace attune::cli {

std::vector<Phase> step_phases(const format::Program& program, const ArenaTrace& trace) {
  std::vector<Phase> phases;
  for (size_t s = 0; s < trace.reads.size(); ++s) {
    const Op op = static_cast<Op>(program.steps()->Get(static_cast<unsigned>(s))->op());
    if (op_info(op).kind == OpKind::update) {
      phases.push_back(Phase::update);
      continue;
    }
    bool backward = op_info(op).kind == OpKind::backward && op != Op::gather &&
                    op != Op::normalize && op != Op::interleave;
    for (const ArenaTrace::Read& read : trace.reads[s]) {
      const int writer = trace.contents[static_cast<size_t>(read.content)].step;
      backward =
          backward || (writer >= 0 && phases[static_cast<size_t>(writer)] == Phase::backward);
    }
    phases.push_back(backward ? Phase::backward : Phase::forward);
  }
  // A weight is put together for who reads it.
  for (const ArenaContent& content : trace.contents) {
    if (content.step < 0 || content.readers.empty()) continue;
    const auto maker = static_cast<unsigned>(content.step);
    const auto reader = static_cast<size_t>(content.readers.front());
    if (static_cast<Op>(program.steps()->Get(maker)->op()) == Op::interleave &&
        reader < phases.size())
      phases[maker] = phases[reader];
  }
  return phases;
}

std::vector<Phase> step_phases(const format::Program& program) {
  return step_phases(program, trace_arena(program));
}

}  // namespace attune::cli
