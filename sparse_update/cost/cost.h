#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/kernel_choice.h"
#include "engine/plan.h"
#include "graph/write_plan.h"
#include "sparse_update/cost/rates.h"

namespace attune {

// What a plan costs on a target. Bytes are those that a session of all its programs reports, and
// the file's; times are milliseconds of one run of a program, 0 where the plan has no such program.
struct Cost {
  uint64_t constants_bytes = 0;  // frozen weights, read-only
  uint64_t state_bytes = 0;      // trained parameters and the optimizer's state
  uint64_t arena_bytes = 0;      // inputs, activations, gradients
  uint64_t workspace_bytes = 0;  // scratch and packed weights of the kernels
  uint64_t session_bytes = 0;    // bound steps
  uint64_t program_bytes = 0;    // the plan's table: steps, shapes, names
  uint64_t file_bytes = 0;       // the plan's file

  double train_step_ms = 0, evaluate_ms = 0, predict_ms = 0;

  uint64_t memory_bytes() const {  // MemoryReport::total()
    return constants_bytes + state_bytes + arena_bytes + workspace_bytes + session_bytes;
  }
  double& ms(ProgramKind kind) {
    return kind == ProgramKind::train_step ? train_step_ms
           : kind == ProgramKind::evaluate ? evaluate_ms
                                           : predict_ms;
  }
};

// Costs of many plans for one target, for a search: nothing is written, and what is found of a step
// is kept. The kernels are those of this build, on this machine's processor; the target has the
// threads. One caller at a time.
class CostModel {
 public:
  explicit CostModel(Target target, BackendChoice backend = BackendChoice::best);
  ~CostModel();

  // Of graphs that are scheduled and planned, as compile makes them. A part of a plan will do: one
  // program, say, of which everything but the parts of the others is then known. Throws Error.
  Cost cost(const PlanContents& contents);
  // The steps of one program, in order; a reshape is none.
  std::vector<StepTime> step_times(const PlanProgram& program);

  const Target& target() const { return rates_.target(); }

 private:
  struct Step;
  const Step& step_of(const PlanProgram& program, const Node& node);

  Rates rates_;
  BackendChoice backend_;
  struct Cache;
  std::unique_ptr<Cache> cache_;
};

}  // namespace attune
