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

// What the run saved itself is no other run.
Replace TrainingRun::replacing(const char* path, Replace asked) const {
  if (owns(path)) return Replace::same_plan;
  return asked == Replace::same_plan ? Replace::another_run : asked;
}

Status TrainingRun::check_can_save(const char* path) const {
  return check_checkpoint_path(path, session().plan(), replacing(path, Replace::same_plan));
}

Status TrainingRun::save(const char* path, Replace replace) {
  const bool showed_kept = shows_kept();
  ATTUNE_RETURN_IF_ERROR(prepare_to_save());
  ATTUNE_RETURN_IF_ERROR(
      save_checkpoint(path, session(), info(), kept_state(), replacing(path, replace)));
  own(path);
  return showed_kept ? finish() : Status::ok();
}

}  // namespace attune
