#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attune/byte_stream.h"
#include "attune/session.h"
#include "attune/status.h"
#include "attune/trainer.h"

// A checkpoint is what training changed: trained slices and optimizer state in the *model's*
// layout, each tensor by name, and where the run stands. It is bound to the plan's parameter
// signature, so a plan compiled again for another batch size or target still loads it; one that
// computes in double is for plans in double. Little-endian (engine/format/checkpoint_format.h has
// the fields):
//   header: magic "ATTUNECK", version, sizes, signature, CheckpointInfo
//   model and optimizer, for messages
//   per tensor: name, slot ("value", "velocity", "m", "v"), dtype, dims, slice, elements
//   the same again, as the state has them that the run goes back to, where that is another one
//   checksum of all before it
// Neither reading nor writing allocates.
namespace attune {

// An epoch's end, as validation data judged it; epoch 0 is what the run started from.
struct BestEpoch {
  int64_t epoch = 0;
  int64_t step = 0;  // optimizer steps done by then
  double loss = 0, accuracy = 0;
  bool measured = false;  // else the rest says nothing
};

struct CheckpointInfo {
  TrainOptions options;
  TrainProgress progress;
  int64_t dataset_size = 0;  // examples; resuming on another number is an error
  // What the caller's loop (TrainingRun) makes of validation: whether the best epoch's parameters
  // are what the run gives, after how many epochs that are not better it ends (0: it does not), up
  // to which epoch it has measured, and which was best.
  bool keep_best = false;
  int64_t patience = 0;
  int64_t measured_epoch = 0;
  BestEpoch best = {};
  // How often it went back from numbers that were not finite, each time halving the learning rate
  // in `options`, and where the state stood that it would go back to.
  int64_t rollbacks = 0;
  TrainProgress kept = {};
};

#pragma GCC visibility push(default)  // a shared library shows these

// Whether nothing is left to do of a run: all of its epochs or steps, or its patience, are over.
bool is_finished(const CheckpointInfo& info);

// Which of a run's states: what it gives, which is that of its best epoch, where it keeps that, or
// else where it stands; where it stands; or what it would go back to.
enum class CheckpointState { best, last, kept };

// Reserves the space beside `path`, writes there, syncs, then renames over it: a crash, a power cut
// or a full disk leaves the old file or the new one. Refuses to replace a file that is not a
// checkpoint, or is one of another model, and to write numbers that are not finite. What a killed
// process leaves is a file `path`.attune-tmp-N, which the next one to write `path` takes away.
// `kept` is the session's state as it was at info.kept, which a run that keeps the best epoch must
// give. another_run, any_checkpoint: what is replaced stays as `path`.old (in place of another
// checkpoint of that name, but of nothing else); any_checkpoint: it may be of any plan.
enum class Replace { same_plan, another_run, any_checkpoint };
Status save_checkpoint(const char* path, const Session& session, const CheckpointInfo& info,
                       std::span<const std::byte> kept = {}, Replace replace = Replace::same_plan);

// Puts a checkpoint's tensors into the session's state. Checks everything before changing anything.
// `info` may be null. The position in `info` is as the file has it: Trainer::resume judges it.
Status load_checkpoint(const char* path, Session& session, CheckpointInfo* info,
                       CheckpointState state = CheckpointState::best);

// What a checkpoint is, without loading it.
struct CheckpointFacts {
  CheckpointInfo info;
  bool same_model = false;  // of the model that the plan was compiled from
  bool fits = false;        // load_checkpoint would take it
};
Status examine_checkpoint(const char* path, const Plan& plan, CheckpointFacts* facts);

// What start_from_checkpoint took.
struct WarmStart {
  CheckpointInfo info;
  int parameters = 0;            // taken
  int fresh = 0;                 // of a fresh layer of another size: as the plan has them
  bool optimizer_state = false;  // taken, too; else it starts anew
  int64_t earlier_steps = 0;     // that it has seen: TrainProgress::earlier_steps
};

// Begins another run where a checkpoint's best (or last) epoch ended: with its parameters, and its
// optimizer state where the plan's signature is the same. A plan of the same model with another
// scheme or optimizer takes the parameters by name; fails, changing nothing, where the plan lacks
// one or trains other channels of it, as then something learned would be lost.
Status start_from_checkpoint(const char* path, Session& session, WarmStart* start);

// Whether save_checkpoint may write to `path`: it does not exist, or is a checkpoint of this plan
// (or any); and its folder takes a new file. Checked before training starts, so that nothing is
// lost at its end.
Status check_checkpoint_path(const char* path, const Plan& plan,
                             Replace replace = Replace::same_plan);

// The same, to and from where the application keeps checkpoints (attune/byte_stream.h). `name`
// stands for that in messages. What is written is complete when save_checkpoint returns, and the
// sink's to keep: it should not give up an older one before.
Status save_checkpoint(ByteSink& sink, const char* name, const Session& session,
                       const CheckpointInfo& info, std::span<const std::byte> kept = {});
Status load_checkpoint(ByteSource& source, const char* name, Session& session, CheckpointInfo* info,
                       CheckpointState state = CheckpointState::best);
Status examine_checkpoint(ByteSource& source, const char* name, const Plan& plan,
                          CheckpointFacts* facts);
Status start_from_checkpoint(ByteSource& source, const char* name, Session& session,
                             WarmStart* start);

#pragma GCC visibility pop

}  // namespace attune
