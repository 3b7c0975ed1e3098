#include "sparse_update/sensitivity/warm_up.h"

#include "attune/trainer.h"
#include "graph/ir/error.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/plan_in_memory.h"

namespace attune {

ModelPtr warm_up_head(const Model& model, CompileOptions options, Dataset& training, int64_t epochs,
                      double rate, const SessionOptions& session_options, uint64_t seed) {
  options.scheme = "head";
  const Compiled compiled = compile(model, options);
  const PlanInMemory loaded(compiled.plan, model.path());
  SessionOptions train_only = session_options;
  train_only.programs = 1u << static_cast<unsigned>(ProgramKind::train_step);
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), train_only, &session));
  TrainOptions train;
  train.epochs = epochs;
  train.schedule = {.kind = ScheduleKind::cosine, .base = rate};
  train.seed = seed;
  std::unique_ptr<Trainer> trainer;
  throw_if_error(Trainer::create(*session, training, train, &trainer));
  while (!trainer->done()) throw_if_error(trainer->step());
  return parse_model(exported_model(model, loaded.plan(), session->state()), model.path());
}

}  // namespace attune
