#include "sparse_update/plan_cost.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/batch.h"
#include "engine/plan_generated.h"
#include "graph/error.h"

namespace attune {
namespace {

uint64_t train_macs(const Plan& plan) {
  uint64_t macs = 0;
  if (const format::Program* program = plan.program(ProgramKind::train_step))
    for (const format::Step* step : *program->steps()) macs += step->macs();
  return macs;
}

void fill(const Tensor& tensor, int byte) {
  if (tensor) std::memset(tensor.data, byte, tensor.bytes());
}

// Examples of zeros, of class 0, with a learning rate of 0.
void fill_inputs(const Session& session) {
  constexpr ProgramKind kTrain = ProgramKind::train_step;
  for (int i = 0; const Tensor input = session.model_input(kTrain, i); ++i) fill(input, 0);
  for (const char* port : {"labels", "targets", "learning_rate"})
    fill(session.input(kTrain, port), 0);
  if (const Tensor step = session.input(kTrain, "step")) set_scalar(step, 1);
  if (const Tensor weights = session.input(kTrain, "weights")) {
    fill(weights, 0);
    set_scalar(weights, 1);  // the first example's
  }
}

}  // namespace

PlanCost plan_cost(const Session& session, double macs_per_second) {
  const MemoryReport memory = session.memory();
  PlanCost cost;
  cost.state = memory.state;
  cost.arena = memory.arena;
  cost.workspace = memory.workspace;
  cost.session = memory.session;
  cost.constants = memory.constants;
  cost.program = session.plan().file_bytes() - memory.constants;
  cost.macs = train_macs(session.plan());
  if (macs_per_second > 0) cost.ms = 1e3 * static_cast<double>(cost.macs) / macs_per_second;
  return cost;
}

PlanCost plan_cost(const Plan& plan, const CostSettings& settings) {
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(plan, settings.session, &session));
  return plan_cost(*session, settings.macs_per_second);
}

double measure_macs_per_second(Session& session) {
  using Clock = std::chrono::steady_clock;
  const std::vector<std::byte> state(session.state().begin(), session.state().end());
  double fastest = 1e30, total = 0;
  for (int run = 0; run < 3 || (run < 50 && total < 0.3); ++run) {
    fill_inputs(session);
    const auto start = Clock::now();
    throw_if_error(session.run(ProgramKind::train_step));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    fastest = std::min(fastest, std::max(seconds, 1e-9));
    total += seconds;
  }
  std::copy(state.begin(), state.end(), session.state().begin());
  return std::max<double>(static_cast<double>(train_macs(session.plan())), 1) / fastest;
}

}  // namespace attune
