#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "attune/checkpoint.h"
#include "attune/dataset.h"
#include "attune/export.h"
#include "attune/session.h"
#include "attune/status.h"
#include "attune/trainer.h"

// A run that does no harm: a loop around Trainer::step in which training that makes a model worse
// never replaces a good one.
//
//   attune::Status status = attune::TrainingRun::create(*session, data, &held_out, {}, &run);
//   if (status) status = run->start();
//   while (status && !run->done()) status = run->step();
//   if (status) status = run->finish();   // the session now holds what the run gives
//
// With held-out data, the run first measures the model as it is, the *baseline*, and then every
// epoch's end; the state of the least loss is what the run gives, and that may be the baseline's.
// The loss alone judges, over all held-out examples by their weights; one that is not finite is
// worse than any that is. Without held-out data, or where the last epoch is asked for, the last
// state is what the run gives, and nothing judges it.
//
// Either way, a loss or parameters that are not finite are not gone on from. The run goes back to
// the state that it keeps, which is the best one, or else the one of the last epoch's end or the
// last hundred steps, and goes on from where that stood, with half the learning rate; after some
// times it ends with an error, and the session holds that state. The loss is looked at after every
// step, the parameters before a state is kept or saved. Where the same examples have no finite loss
// with the kept state either, no rate helps: that is an error at once.
namespace attune {

struct RunOptions {
  TrainOptions train = {};
  // With held-out data: give the best state, and never one that is worse than the baseline.
  // Otherwise the last one.
  bool keep_best = true;
  // Stop after so many epochs that are no better than the best one; 0: never.
  int64_t patience = 0;
  // Of a plan compiled with --batch-norm estimate: average the statistics over the training data
  // before the first step, as start_from_checkpoint's state needs not. A resumed run never does.
  bool estimate_statistics = true;
  // How often the run may go back in all.
  int64_t most_rollbacks = 10;
};

// That the run has gone back.
struct Rollback {
  int64_t failed_step = 0;  // the step (from 1) whose loss, or whose parameters, were not finite
  bool parameters = false;  // these, and not the loss
  int64_t step = 0;         // steps done where the run stands again
  int64_t count = 0;        // how often this run has, all in all
  double rate = 0;          // Schedule::base from now on
};

// Allocates in `create` only: beside a trainer, one copy of the session's state, where the
// session's memory comes from (SessionOptions::allocator). Not thread-safe.
class ATTUNE_API TrainingRun {
 public:
  // Session and data must outlive the run; `held_out` may be null. The session stands where the run
  // starts from: as compiled, or start_from_checkpoint. Fails where data is empty, unlabelled or
  // does not fit.
  static Status create(Session& session, Dataset& data, Dataset* held_out,
                       const RunOptions& options, std::unique_ptr<TrainingRun>* run);
  // Memory for it, with its trainer, of the session's allocator, where that gives one piece behind
  // the other (BlockAllocator).
  static size_t required_bytes(const Session& session, int64_t examples);
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  // Before the first step, for a run that takes over an optimizer's state:
  // WarmStart::earlier_steps.
  Status continue_from(int64_t earlier_steps);
  // Instead, continues the run that wrote a checkpoint, bit for bit; `options` given to `create`
  // are its CheckpointInfo::options (see examine_checkpoint), with what may change: epochs, steps,
  // schedule.
  Status resume(const char* path);
  // The same of what was read elsewhere: the session holds CheckpointState::last, kept_state()
  // holds CheckpointState::kept.
  Status resume(const CheckpointInfo& info);

  // Measures the baseline; fails, and leaves the state as it was, where the data makes statistics
  // that are not finite. The first step does it, if nobody has.
  Status start();
  // One step of the optimizer, or a rollback: see rollback(). Measures first what measure() left
  // unmeasured.
  Status step();
  // Measures on the held-out data where it is due, which is at the start, at an epoch's end and
  // when the run is done; step(), finish() do it too. A run that is left and saved before it
  // measures does so once it is resumed.
  Status measure();
  bool measure_is_due() const;
  // Trainer::set_rate. A rollback halves what it is then.
  Status set_rate(double rate);
  // Whether nothing is left to do: all epochs or steps, or patience, are over.
  bool done() const;
  // Measures what is left, and puts what the run gives into the session, until the next step.
  Status finish();

  // What the last step did.
  const Rollback* rollback() const;  // null: it went on
  bool epoch_ended() const;
  // What was measured last, and before the first step; null: nothing. A loss that is not finite is
  // infinity.
  const Evaluation* held_out() const;
  const Evaluation* baseline() const;
  // Whether the run gives what it started from, as nothing after it was better, estimated
  // statistics included. A resumed run with these knows what it started from only where that was
  // the model.
  bool kept_baseline() const;

  // Saves the run, as save_checkpoint does. What is there, and was neither saved by this run under
  // this name nor is what it was resumed from, is another run, and stays as `path`.old. Where the
  // parameters are not finite, it goes back first.
  Status save(const char* path, Replace replace = Replace::same_plan);
  // Whether it may be saved there, before anything is trained.
  Status check_can_save(const char* path) const;
  // The same to elsewhere: what save_checkpoint takes, after prepare_to_save(), which puts where
  // the run stands into the session.
  Status prepare_to_save();
  CheckpointInfo info() const;
  std::span<std::byte> kept_state();

  Session& session() const;
  const Trainer& trainer() const;

  // `delete`, which std::unique_ptr does.
  static void operator delete(TrainingRun* run, std::destroying_delete_t);
  ~TrainingRun() = default;  // not private: Clang asks for it

 private:
  struct Parts;
  explicit TrainingRun(Parts& parts) : parts_(parts) {}
  bool owns(const char* path) const;  // it was saved as this, or resumed from it
  Replace replacing(const char* path, Replace asked) const;
  void own(const char* path);
  bool shows_kept() const;

  Parts& parts_;
};

}  // namespace attune
