#include <algorithm>

#include "attune/run.h"

// A run's checkpoints as files.
namespace attune {

Status TrainingRun::resume(const char* path) {
  if (trainer().progress().step > 0) return Status::error("resume: the run has already begun");
  CheckpointInfo info;
  ATTUNE_RETURN_IF_ERROR(load_checkpoint(path, session(), &info, CheckpointState::kept));
  const auto state = session().state();
  std::copy(state.begin(), state.end(), kept_state().begin());
  ATTUNE_RETURN_IF_ERROR(load_checkpoint(path, session(), &info, CheckpointState::last));
  ATTUNE_RETURN_IF_ERROR(resume(info));
  own(path);
  return Status::ok();
}

Status TrainingRun::save(const char* path, Replace replace) {
  const bool showed_kept = shows_kept();
  ATTUNE_RETURN_IF_ERROR(prepare_to_save());
  if (!owns(path) && replace == Replace::same_plan) replace = Replace::another_run;
  ATTUNE_RETURN_IF_ERROR(save_checkpoint(path, session(), info(), kept_state(), replace));
  own(path);
  return showed_kept ? finish() : Status::ok();
}

}  // namespace attune
