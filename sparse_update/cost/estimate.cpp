#include "sparse_update/cost/estimate.h"

#include "engine/plan_generated.h"

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

StepWork step_work(const Session& session, ProgramKind kind, int step) {
  const format::Program& program = *session.plan().program(kind);
  return step_work(session.step_op(kind, step), session.step_backend(kind, step),
                   session.step_args(kind, step),
                   program.steps()->Get(static_cast<unsigned>(step))->macs());
}

std::vector<ProgramEstimate> estimate(const Session& session, const Rates& rates) {
  std::vector<ProgramEstimate> programs;
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    if (!session.has(kind)) continue;
    ProgramEstimate program{kind, {}};
    for (int i = 0; i < session.step_count(kind); ++i)
      program.steps.push_back(rates.time(step_work(session, kind, i)));
    programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace attune
