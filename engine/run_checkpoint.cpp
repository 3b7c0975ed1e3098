#include <cstring>

#include "attune/run.h"

// A run's checkpoints as files.
namespace attune {

Status TrainingRun::resume(const char* path) {
  if (started_) return Status::error("resume: the run has already begun");
  CheckpointInfo info;
  ATTUNE_RETURN_IF_ERROR(load_checkpoint(path, session_, &info, CheckpointState::kept));
  std::memcpy(kept_.get(), session_.state().data(), session_.state().size());
  ATTUNE_RETURN_IF_ERROR(load_checkpoint(path, session_, &info, CheckpointState::last));
  return resume(info);
}

Status TrainingRun::save(const char* path, Replace replace) {
  const bool showed_kept = shows_kept_;
  ATTUNE_RETURN_IF_ERROR(prepare_to_save());
  ATTUNE_RETURN_IF_ERROR(save_checkpoint(path, session_, info(), kept_state(), replace));
  if (showed_kept) swap();
  return Status::ok();
}

}  // namespace attune
