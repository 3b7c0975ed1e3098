#pragma once

#include <cstdint>

#include "attune/session.h"
#include "attune/status.h"
#include "attune/trainer.h"

// A checkpoint is what training changed: trained slices and optimizer state in the *model's*
// layout, each tensor by name, and where the run stands. It is bound to the plan's parameter
// signature, so a plan compiled again for another batch size or target still loads it; one that
// computes in double is for plans in double. Little-endian (engine/format/checkpoint_format.h has
// the fields):
//   header: magic "ATTUNECK", version, sizes, signature, TrainOptions, TrainProgress, dataset size
//   model and optimizer, for messages
//   per tensor: name, slot ("value", "velocity", "m", "v"), dtype, dims, slice, elements
//   checksum of all before it
// Neither reading nor writing allocates.
namespace attune {

struct CheckpointInfo {
  TrainOptions options;
  TrainProgress progress;
  int64_t dataset_size = 0;  // examples; resuming on another number is an error
};

// Writes beside `path`, syncs, then renames over it: a crash leaves the old file or the new one.
// Refuses to replace a file that is not a checkpoint, or is one of another model, and to write
// numbers that are not finite. What a killed process leaves is a file `path`.tmp-PID-N, which may
// be deleted.
Status save_checkpoint(const char* path, const Session& session, const CheckpointInfo& info);

// Puts a checkpoint's tensors into the session's state. Checks everything before changing anything.
// `info` may be null. The position in `info` is as the file has it: Trainer::resume judges it.
Status load_checkpoint(const char* path, Session& session, CheckpointInfo* info);

// Whether save_checkpoint may write to `path`: it does not exist, or is a checkpoint of this plan;
// and its folder takes a new file. Checked before training starts, so that nothing is lost at its
// end.
Status check_checkpoint_path(const char* path, const Plan& plan);

}  // namespace attune
