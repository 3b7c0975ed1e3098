#include "attune/run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "attune/statistics.h"
#include "engine/batch.h"
#include "engine/state_check.h"

namespace attune {
namespace {

constexpr int64_t kStepsBetweenStates = 100;
constexpr double kRateFactor = 0.5;

}  // namespace

Status TrainingRun::create(Session& session, Dataset& data, Dataset* held_out,
                           const RunOptions& options, std::unique_ptr<TrainingRun>* run) {
  std::unique_ptr<TrainingRun> made(new (std::nothrow)
                                        TrainingRun(session, data, held_out, options));
  if (!made) return Status::error("out of memory for a run");
  ATTUNE_RETURN_IF_ERROR(Trainer::create(session, data, options.train, &made->trainer_));
  // What it cannot use shows now, and not after the first epoch.
  if (Batch batch; held_out)
    ATTUNE_RETURN_IF_ERROR(Batch::bind(session, ProgramKind::evaluate, *held_out, &batch));
  made->kept_.reset(new (std::nothrow) std::byte[session.state().size()]);
  if (!made->kept_) return Status::error("out of memory for a copy of what is trained");
  made->info_.keep_best = made->keeps_best();
  made->info_.patience = options.patience;
  made->info_.dataset_size = data.size();
  *run = std::move(made);
  return Status::ok();
}

Status TrainingRun::continue_from(int64_t earlier_steps) {
  if (started_) return Status::error("the run has already begun");
  return trainer_->resume({.earlier_steps = earlier_steps});
}

Status TrainingRun::resume(const CheckpointInfo& info) {
  if (started_) return Status::error("resume: the run has already begun");
  if (info.dataset_size != data_.size())
    return Status::error("resume: the run trains on %lld examples, and these are %lld",
                         static_cast<long long>(info.dataset_size),
                         static_cast<long long>(data_.size()));
  if (info.keep_best && options_.keep_best && !held_out_data_)
    return Status::error(
        "resume: the run keeps what is best on held-out data; give that, or ask for the last");
  ATTUNE_RETURN_IF_ERROR(trainer_->resume(info.progress));
  resumed_ = true;
  info_.rollbacks = info.rollbacks;
  info_.measured_epoch = info.measured_epoch;
  info_.best = info.best;
  info_.kept = info.kept;
  if (info.keep_best != keeps_best()) {
    // What was kept is not what this run keeps.
    if (keeps_best()) info_.best = {};
    keep();
  } else if (!trainer_->reaches(info.kept)) {
    // In the middle of an epoch of other batches: to where that began.
    info_.kept = {.step = info.kept.step,
                  .epoch = std::min(info.kept.epoch, info.kept.step),
                  .last_loss = info.kept.last_loss,
                  .last_rate = info.kept.last_rate,
                  .earlier_steps = info.progress.earlier_steps};
  }
  return Status::ok();
}

Status TrainingRun::start() {
  if (started_) return Status::ok();
  const format::Plan& plan = session_.plan().table();
  ATTUNE_RETURN_IF_ERROR(check_finite(plan, session_.state()));
  if (!resumed_) keep();
  if (measure_is_due()) {
    const bool first = keeps_best() && !info_.best.measured;
    ATTUNE_RETURN_IF_ERROR(measure_now());
    if (first) baseline_ = held_out_;
    has_baseline_ = first;
  }
  if (!resumed_ && options_.estimate_statistics && session_.has(ProgramKind::estimate)) {
    Status status = estimate_statistics(session_, data_, options_.train.seed);
    if (status) status = check_finite(plan, session_.state());
    if (!status) {
      restore();
      return status;
    }
    if (keeps_best())
      ATTUNE_RETURN_IF_ERROR(measure_now());
    else
      keep();
  }
  started_ = true;
  return Status::ok();
}

bool TrainingRun::done() const { return is_finished(info()); }

bool TrainingRun::measure_is_due() const {
  const TrainProgress& p = trainer_->progress();
  if (!held_out_data_ || measured_step_ == p.step) return false;
  if (keeps_best() && !info_.best.measured) return true;
  if (p.batch == 0) return p.epoch > info_.measured_epoch;
  return done();
}

Status TrainingRun::measure() {
  if (!started_) return start();
  show_last();
  return measure_is_due() ? measure_now() : Status::ok();
}

Status TrainingRun::measure_now() {
  bool finite = false;
  ATTUNE_RETURN_IF_ERROR(evaluate(session_, *held_out_data_, &held_out_, &finite));
  const TrainProgress& p = trainer_->progress();
  measured_ = true;
  measured_step_ = p.step;
  if (p.batch == 0) info_.measured_epoch = p.epoch;
  BestEpoch& best = info_.best;
  if (best.measured && !(held_out_.loss < best.loss)) return Status::ok();
  best = {p.batch > 0 ? p.epoch + 1 : p.epoch, p.step, held_out_.loss, held_out_.accuracy, true};
  if (keeps_best()) keep();
  return Status::ok();
}

Status TrainingRun::step() {
  rolled_back_ = false;
  ATTUNE_RETURN_IF_ERROR(measure());
  if (const Status status = trainer_->step(); !status)
    return trainer_->diverged() ? go_back(false) : status;
  const int64_t steps = trainer_->progress().step;
  if (!trainer_->epoch_ended() && !trainer_->done() && steps % kStepsBetweenStates != 0)
    return Status::ok();
  if (!check_finite(session_.plan().table(), session_.state())) return go_back(true);
  if (!keeps_best()) keep();
  return Status::ok();
}

Status TrainingRun::finish() {
  ATTUNE_RETURN_IF_ERROR(measure());
  if (keeps_best()) swap();
  return Status::ok();
}

bool TrainingRun::kept_baseline() const {
  return keeps_best() && info_.best.measured && info_.best.epoch == 0;
}

void TrainingRun::keep() {
  std::memcpy(kept_.get(), session_.state().data(), session_.state().size());
  info_.kept = trainer_->progress();
}

void TrainingRun::restore() {
  std::memcpy(session_.state().data(), kept_.get(), session_.state().size());
}

void TrainingRun::swap() {
  const std::span<std::byte> state = session_.state();
  std::swap_ranges(state.begin(), state.end(), kept_.get());
  shows_kept_ = !shows_kept_;
}

void TrainingRun::show_last() {
  if (shows_kept_) swap();
}

// To the kept state, with a lower rate. Every way out leaves the run there.
Status TrainingRun::go_back(bool parameters) {
  const int64_t failed_step = trainer_->progress().step + (parameters ? 0 : 1);
  const double rate = trainer_->options().schedule.base * kRateFactor;
  restore();
  Status data_status;
  if (!parameters) {
    double loss = 0;
    data_status = trainer_->loss_of_next_batch(&loss);
    if (data_status && !std::isfinite(loss)) {
      const std::string_view where = trainer_->describe_next_batch();
      data_status = Status::error(
          "step %lld: the loss is not finite (%g), and neither is it with the state of step %lld: "
          "the data holds such numbers, or ones too large, among the examples from %.*s on",
          static_cast<long long>(failed_step), loss, static_cast<long long>(info_.kept.step),
          static_cast<int>(where.size()), where.data());
    }
    restore();
  }
  const bool lower = data_status && info_.rollbacks < options_.most_rollbacks;
  ATTUNE_RETURN_IF_ERROR(
      trainer_->go_back(info_.kept, lower ? rate : trainer_->options().schedule.base));
  info_.measured_epoch = std::min(info_.measured_epoch, info_.kept.epoch);
  measured_step_ = -1;
  ATTUNE_RETURN_IF_ERROR(data_status);
  if (!lower)
    return Status::error(
        "step %lld: %s not finite, after %lld times that the run went back and halved its learning "
        "rate, to %g: it ends at the state of step %lld; lower the learning rate by much, warm it "
        "up, or look at the scale of the data",
        static_cast<long long>(failed_step), parameters ? "parameters are" : "the loss is",
        static_cast<long long>(info_.rollbacks), trainer_->options().schedule.base,
        static_cast<long long>(info_.kept.step));
  rolled_back_ = true;
  rollback_ = {failed_step, parameters, info_.kept.step, ++info_.rollbacks, rate};
  return Status::ok();
}

CheckpointInfo TrainingRun::info() const {
  CheckpointInfo info = info_;
  info.options = trainer_->options();
  info.progress = trainer_->progress();
  return info;
}

Status TrainingRun::prepare_to_save() {
  ATTUNE_RETURN_IF_ERROR(start());
  show_last();
  rolled_back_ = false;
  if (check_finite(session_.plan().table(), session_.state())) return Status::ok();
  return go_back(true);
}

bool is_finished(const CheckpointInfo& info) {
  const TrainOptions& options = info.options;
  const bool done = options.steps > 0 ? info.progress.step >= options.steps
                                      : info.progress.epoch >= options.epochs;
  return done || (info.patience > 0 && info.best.measured &&
                  info.measured_epoch - info.best.epoch >= info.patience);
}

}  // namespace attune
