#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "attune/plan.h"
#include "engine/kernel_choice.h"
#include "graph/plan/write_plan.h"
#include "sparse_update/cost/rates.h"

namespace attune {

// What a plan costs. Bytes are those that a session of all its programs reports, and the file's;
// times are milliseconds of one run of a program on a target, 0 where the plan has no such program
// or there is no target.
struct Cost {
  uint64_t constants_bytes = 0;  // frozen weights, read-only
  uint64_t state_bytes = 0;      // trained parameters and the optimizer's state
  uint64_t arena_bytes = 0;      // inputs, activations, gradients
  uint64_t workspace_bytes = 0;  // scratch and packed weights of the kernels
  uint64_t session_bytes = 0;    // the session's own objects and padding
  uint64_t program_bytes = 0;    // the plan's table: steps, shapes, names
  uint64_t file_bytes = 0;       // the plan's file

  uint64_t train_macs = 0;  // multiply-adds of a training step
  double train_step_ms = 0, evaluate_ms = 0, predict_ms = 0, estimate_ms = 0;

  // What must be RAM, as `--memory` counts: all that a running session takes, MemoryReport::ram().
  // Constants are not in it: they stay in the file, which may be flash.
  uint64_t ram_bytes() const { return state_bytes + arena_bytes + workspace_bytes + session_bytes; }
  // What must be stored, as `--flash` counts: the file, with constants, table and initial state.
  uint64_t flash_bytes() const { return file_bytes; }
  double& ms(ProgramKind kind) {
    return kind == ProgramKind::train_step ? train_step_ms
           : kind == ProgramKind::evaluate ? evaluate_ms
           : kind == ProgramKind::predict  ? predict_ms
                                           : estimate_ms;
  }
};

// Costs of many plans, for a search: nothing is written, and what is found of a step is kept. The
// kernels are those of this build, on this machine's processor. One caller at a time.
class CostModel {
 public:
  // On a target, which has the threads.
  explicit CostModel(Target target, BackendChoice backend = BackendChoice::best);
  // Bytes and multiply-adds alone.
  explicit CostModel(int threads, BackendChoice backend = BackendChoice::best);
  ~CostModel();

  // Of graphs that are scheduled and planned, as compile makes them. A part of a plan will do: one
  // program, say, of which everything but the parts of the others is then known. Throws Error.
  Cost cost(const PlanContents& contents);

  bool has_target() const { return rates_.has_value(); }

 private:
  struct Step;
  struct StepRuns {
    Step* step;
    int runs;  // each time its program runs
  };
  Step& step_of(const PlanProgram& program, const Node& node);
  std::vector<StepRuns> steps_of(const PlanProgram& program);
  std::vector<StepTime> times_of(const std::vector<StepRuns>& steps);

  std::optional<Rates> rates_;
  int threads_;
  BackendChoice backend_;
  struct Cache;
  std::unique_ptr<Cache> cache_;
};

}  // namespace attune
