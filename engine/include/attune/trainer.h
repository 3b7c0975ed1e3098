#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string_view>

#include "attune/dataset.h"
#include "attune/export.h"
#include "attune/schedule.h"
#include "attune/session.h"

namespace attune {

// What decides the course of a run; a checkpoint keeps it, so that resuming needs no repetition.
struct TrainOptions {
  int64_t epochs = 1;
  int64_t steps = 0;       // > 0: stop after so many steps in all, whatever `epochs` says
  Schedule schedule = {};  // total_steps is set by the trainer
  uint64_t seed = 0;
  bool shuffle = true;
};

// Where a run stands, and the sums over the epoch under way. Plain data: a checkpoint stores it.
struct TrainProgress {
  int64_t step = 0;     // optimizer steps done, in all
  int64_t epoch = 0;    // epochs done
  int64_t batch = 0;    // batches done in this epoch
  double loss_sum = 0;  // sum over the epoch's examples
  double correct_sum = 0;
  // What the examples seen in this epoch weigh: their number, unless weighted.
  double weight_sum = 0;
  double last_loss = 0;  // mean over the last batch
  double last_rate = 0;  // learning rate of the last step
  // Steps of earlier runs whose optimizer state this one took over: Adam's correction counts them.
  int64_t earlier_steps = 0;
};

struct Evaluation {
  double loss = 0;      // mean over the examples, by their weights
  double accuracy = 0;  // 0 .. 1, of the examples or their positions by weight; classification only
  int64_t examples = 0;
};

// Runs a session over a dataset: shuffles, fills batches, sets the rate, counts. One call of `step`
// is one optimizer step, so the caller owns the loop: checkpoints, logs and stopping stand between
// calls. Allocates in `create` only, four bytes an example and its own, where the session's
// memory comes from (SessionOptions::allocator).
class ATTUNE_API Trainer {
 public:
  // Session and dataset must outlive the trainer. Fails where the data is empty or unlabelled.
  static Status create(Session& session, Dataset& data, const TrainOptions& options,
                       std::unique_ptr<Trainer>* trainer);
  // Memory for it, of SessionOptions::allocator: in one piece, aligned to 64.
  static size_t required_bytes(int64_t examples);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  bool done() const;
  // Reads one batch, runs train_step, updates `progress`. The last batch of an epoch may be
  // partial: its missing examples have weight 0, so that it is exact. Fails where the loss is not
  // finite, naming the step; the state then holds what the step computed (TrainingRun, in run.h,
  // goes back from there).
  Status step();
  // Whether that is why the last step failed.
  bool diverged() const;

  int64_t steps_per_epoch() const;
  int64_t total_steps() const;
  const TrainProgress& progress() const;
  const TrainOptions& options() const;
  // True right after the step that ended an epoch; `last_epoch` then holds its means.
  bool epoch_ended() const;
  const Evaluation& last_epoch() const;
  // Continues a run from a checkpoint (before the first step). In the middle of an epoch, the batch
  // size must be what it was; between epochs it may change. A new run that goes on from another's
  // parameters and optimizer state starts with nothing but `earlier_steps`.
  Status resume(const TrainProgress& progress);
  // Goes on from an earlier position of this run, with another Schedule::base, once the session
  // holds the state of then.
  Status go_back(const TrainProgress& progress, double rate);
  // Whether that is a position that this data and batch size have.
  bool reaches(const TrainProgress& progress);
  // The rate of the next step; and another one for it, by a Schedule::base that gives it: the
  // schedule's shape stays. Fails where that is zero now.
  double rate() const;
  Status set_rate(double rate);
  // The loss of the batch that the next step takes; the state changes as that step would change it.
  Status loss_of_next_batch(double* loss);
  // Where the next batch begins, for messages.
  std::string_view describe_next_batch();

  // `delete`, which std::unique_ptr does.
  static void operator delete(Trainer* trainer, std::destroying_delete_t);
  ~Trainer() = default;  // not private: Clang asks for it

 private:
  struct Parts;
  explicit Trainer(Parts& parts) : parts_(parts) {}

  Parts& parts_;
};

// Runs `evaluate` over the whole dataset. Fails where the loss is not finite; unless `finite` is
// given, which then tells, and `evaluation` holds a loss of infinity.
ATTUNE_API Status evaluate(Session& session, Dataset& data, Evaluation* evaluation,
                           bool* finite = nullptr);

}  // namespace attune
