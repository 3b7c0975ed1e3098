#include "sparse_update/cost/program_estimate.h"

#include "engine/format/plan_generated.h"
#include "engine/format/plan_tensor.h"

namespace attune {

double ProgramEstimate::ms() const {
  double us = 0;
  for (const StepTime& step : steps) us += step.us;
  return 1e-3 * us;
}

double ProgramEstimate::measured_share() const {
  double us = 0;
  for (const StepTime& step : steps)
    if (step.basis == Basis::measured) us += step.us;
  return steps.empty() ? 0 : 1e-3 * us / ms();
}

std::vector<StepWork> program_work(const Session& session, ProgramKind kind) {
  const format::Program& program = *session.plan().program(kind);
  std::vector<StepWork> steps;
  uint64_t bytes = 0;
  for (int i = 0; i < session.step_count(kind); ++i) {
    steps.push_back(step_work(session.step_op(kind, i), session.step_backend(kind, i),
                              session.step_args(kind, i),
                              program.steps()->Get(static_cast<unsigned>(i))->macs()));
    steps.back().runs = runs_of(program, i);
    bytes += steps.back().bytes;
  }
  for (StepWork& step : steps) step.program_bytes = rounded_program_bytes(bytes);
  return steps;
}

std::vector<ProgramEstimate> estimate(const Session& session, const Rates& rates) {
  std::vector<ProgramEstimate> programs;
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    if (!session.has(kind)) continue;
    ProgramEstimate estimate{kind, {}};
    for (const StepWork& step : program_work(session, kind)) {
      estimate.steps.push_back(rates.time(step));
      estimate.steps.back().us *= static_cast<double>(step.runs);
    }
    programs.push_back(std::move(estimate));
  }
  return programs;
}

}  // namespace attune
