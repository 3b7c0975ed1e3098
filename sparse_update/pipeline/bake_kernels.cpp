#include "sparse_update/pipeline/bake_kernels.h"

#include "graph/ir/error.h"
#include "sparse_update/pipeline/plan_in_memory.h"

namespace attune {

void bake_kernels(Compiled& compiled, const SessionOptions& options) {
  const PlanInMemory loaded(compiled.plan, "plan");
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), options, &session));
  for (PlanProgram& program : compiled.contents.programs) {
    program.kernels.clear();
    for (int i = 0; i < session->step_count(program.kind); ++i)
      program.kernels.push_back(session->step_backend(program.kind, i));
  }
  compiled.plan = write_plan(compiled.contents);
}

}  // namespace attune
