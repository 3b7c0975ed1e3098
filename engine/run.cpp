#include "attune/run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <span>

#include "attune/statistics.h"
#include "engine/batch.h"
#include "engine/platform/memory_block.h"
#include "engine/state_check.h"

namespace attune {
namespace {

constexpr int64_t kStepsBetweenStates = 100;
constexpr double kRateFactor = 0.5;

// So that the state behind them is aligned as the session's.
constexpr size_t aligned(size_t bytes) {
  return (bytes + MemoryBlock::kAlignment - 1) / MemoryBlock::kAlignment * MemoryBlock::kAlignment;
}

uint64_t hash_of(const char* path) {
  return hash64(std::as_bytes(std::span(path, std::strlen(path))));
}

}  // namespace

// Lies at the start of its block, and the kept state behind it.
struct [[gnu::visibility("hidden")]] TrainingRun::Parts {
  Parts(Session& in, Dataset& from, Dataset* judging, const RunOptions& with)
      : session(in), data(from), held_out_data(judging), options(with) {}

  bool keeps_best() const { return options.keep_best && held_out_data; }
  const format::Plan& plan() const { return session.plan().table(); }
  const TrainProgress& progress() const { return trainer->progress(); }
  CheckpointInfo whole_info() const;
  void keep();
  void restore();
  void swap();
  void show_last();
  bool measure_is_due() const;
  Status measure_now();
  Status start();
  Status resume(const CheckpointInfo& from);
  Status measure();
  Status step();
  Status go_back(bool parameters);
  Status prepare_to_save();

  TrainingRun run{*this};
  MemoryBlock block;
  Session& session;
  Dataset& data;
  Dataset* held_out_data;
  RunOptions options;
  std::unique_ptr<Trainer> trainer;
  std::byte* kept = nullptr;  // the state to go back to; or the last one, while that one shows
  CheckpointInfo info;        // but for what the trainer knows
  int64_t measured_step = -1;
  Evaluation held_out, baseline;
  Rollback rollback;
  std::array<uint64_t, 8> files = {};  // hashes of the last names that it was saved as
  size_t saved = 0;
  bool started = false, resumed = false, shows_kept = false;
  bool measured = false, has_baseline = false, rolled_back = false;
};

Status TrainingRun::create(Session& session, Dataset& data, Dataset* held_out,
                           const RunOptions& options, std::unique_ptr<TrainingRun>* run) {
  // What it cannot use shows now, and not after the first epoch.
  if (Batch batch; held_out)
    ATTUNE_RETURN_IF_ERROR(Batch::bind(session, ProgramKind::evaluate, *held_out, &batch));
  MemoryBlock block;
  if (!block.allocate(session.allocator(), aligned(sizeof(Parts)) + session.state().size()))
    return Status::error("out of memory for a copy of what is trained, %zu bytes",
                         session.state().size());
  auto* parts = new (block.data()) Parts(session, data, held_out, options);
  std::unique_ptr<TrainingRun> made(&parts->run);
  parts->kept = block.data() + aligned(sizeof(Parts));
  parts->block = std::move(block);
  ATTUNE_RETURN_IF_ERROR(Trainer::create(session, data, options.train, &parts->trainer));
  parts->info.keep_best = parts->keeps_best();
  parts->info.patience = options.patience;
  parts->info.dataset_size = data.size();
  *run = std::move(made);
  return Status::ok();
}

size_t TrainingRun::required_bytes(const Session& session, int64_t examples) {
  const size_t order = aligned(static_cast<size_t>(examples) * sizeof(int32_t));
  return aligned(sizeof(Parts)) + aligned(session.state().size()) +
         aligned(Trainer::required_bytes(examples)) +
         (session.has(ProgramKind::estimate) ? order : 0);  // of one pass
}

void TrainingRun::operator delete(TrainingRun* run, std::destroying_delete_t) {
  Parts* const parts = &run->parts_;
  const MemoryBlock block = std::move(parts->block);  // goes last
  parts->~Parts();
}

Status TrainingRun::resume(const CheckpointInfo& info) { return parts_.resume(info); }
Status TrainingRun::set_rate(double rate) { return parts_.trainer->set_rate(rate); }
Status TrainingRun::start() { return parts_.start(); }
Status TrainingRun::step() { return parts_.step(); }
Status TrainingRun::measure() { return parts_.measure(); }
bool TrainingRun::measure_is_due() const { return parts_.measure_is_due(); }
bool TrainingRun::done() const { return is_finished(info()); }
Status TrainingRun::prepare_to_save() { return parts_.prepare_to_save(); }
CheckpointInfo TrainingRun::info() const { return parts_.whole_info(); }
Session& TrainingRun::session() const { return parts_.session; }
bool TrainingRun::shows_kept() const { return parts_.shows_kept; }

bool TrainingRun::owns(const char* path) const {
  return std::find(parts_.files.begin(), parts_.files.end(), hash_of(path)) != parts_.files.end();
}

void TrainingRun::own(const char* path) {
  if (!owns(path)) parts_.files[parts_.saved++ % parts_.files.size()] = hash_of(path);
}

const Trainer& TrainingRun::trainer() const { return *parts_.trainer; }

const Rollback* TrainingRun::rollback() const {
  return parts_.rolled_back ? &parts_.rollback : nullptr;
}
bool TrainingRun::epoch_ended() const {
  return !parts_.rolled_back && parts_.trainer->epoch_ended();
}
const Evaluation* TrainingRun::held_out() const {
  return parts_.measured ? &parts_.held_out : nullptr;
}
const Evaluation* TrainingRun::baseline() const {
  return parts_.has_baseline ? &parts_.baseline : nullptr;
}
std::span<std::byte> TrainingRun::kept_state() {
  return {parts_.kept, parts_.session.state().size()};
}

Status TrainingRun::continue_from(int64_t earlier_steps) {
  if (parts_.started) return Status::error("the run has already begun");
  return parts_.trainer->resume({.earlier_steps = earlier_steps});
}

Status TrainingRun::Parts::resume(const CheckpointInfo& from) {
  if (started) return Status::error("resume: the run has already begun");
  if (from.dataset_size != data.size())
    return Status::error("resume: the run trains on %lld examples, and these are %lld",
                         static_cast<long long>(from.dataset_size),
                         static_cast<long long>(data.size()));
  if (from.keep_best && options.keep_best && !held_out_data)
    return Status::error(
        "resume: the run keeps what is best on held-out data; give that, or ask for the last");
  ATTUNE_RETURN_IF_ERROR(trainer->resume(from.progress));
  resumed = true;
  // A rate that was chosen anew has not been lowered.
  const bool lowered = options.train.schedule.base == from.options.schedule.base;
  info.rollbacks = lowered ? from.rollbacks : 0;
  info.measured_epoch = from.measured_epoch;
  info.best = from.best;
  info.kept = from.kept;
  if (from.keep_best != keeps_best()) {
    // What was kept is not what this run keeps.
    if (keeps_best()) info.best = {};
    keep();
  } else if (!trainer->reaches(from.kept)) {
    // In the middle of an epoch of other batches: to where that began.
    info.kept = {.step = from.kept.step,
                 .epoch = std::min(from.kept.epoch, from.kept.step),
                 .last_loss = from.kept.last_loss,
                 .last_rate = from.kept.last_rate,
                 .earlier_steps = from.progress.earlier_steps};
  }
  return Status::ok();
}

Status TrainingRun::Parts::start() {
  if (started) return Status::ok();
  ATTUNE_RETURN_IF_ERROR(check_finite(plan(), session.state()));
  if (!resumed) keep();
  if (measure_is_due()) {
    const bool first = keeps_best() && !info.best.measured;
    ATTUNE_RETURN_IF_ERROR(measure_now());
    if (first) baseline = held_out;
    has_baseline = first;
  }
  if (!resumed && options.estimate_statistics && session.has(ProgramKind::estimate)) {
    Status status = estimate_statistics(session, data, options.train.seed);
    if (status) status = check_finite(plan(), session.state());
    if (!status) {
      restore();
      return status;
    }
    if (keeps_best())
      ATTUNE_RETURN_IF_ERROR(measure_now());
    else
      keep();
  }
  started = true;
  return Status::ok();
}

bool TrainingRun::Parts::measure_is_due() const {
  const TrainProgress& p = progress();
  if (!held_out_data || measured_step == p.step) return false;
  if (keeps_best() && !info.best.measured) return true;
  if (p.batch == 0) return p.epoch > info.measured_epoch;
  return is_finished(whole_info());
}

Status TrainingRun::Parts::measure() {
  if (!started) return start();
  show_last();
  return measure_is_due() ? measure_now() : Status::ok();
}

Status TrainingRun::Parts::measure_now() {
  bool finite = false;
  ATTUNE_RETURN_IF_ERROR(evaluate(session, *held_out_data, &held_out, &finite));
  const TrainProgress& p = progress();
  measured = true;
  measured_step = p.step;
  if (p.batch == 0) info.measured_epoch = p.epoch;
  BestEpoch& best = info.best;
  if (best.measured && !(held_out.loss < best.loss)) return Status::ok();
  best = {p.batch > 0 ? p.epoch + 1 : p.epoch, p.step, held_out.loss, held_out.accuracy, true};
  if (keeps_best()) keep();
  return Status::ok();
}

Status TrainingRun::Parts::step() {
  rolled_back = false;
  ATTUNE_RETURN_IF_ERROR(measure());
  if (const Status status = trainer->step(); !status)
    return trainer->diverged() ? go_back(false) : status;
  const int64_t steps = progress().step;
  if (!trainer->epoch_ended() && !trainer->done() && steps % kStepsBetweenStates != 0)
    return Status::ok();
  if (!check_finite(plan(), session.state())) return go_back(true);
  if (!keeps_best()) keep();
  return Status::ok();
}

Status TrainingRun::finish() {
  ATTUNE_RETURN_IF_ERROR(measure());
  if (parts_.keeps_best()) parts_.swap();
  return Status::ok();
}

bool TrainingRun::kept_baseline() const {
  const Parts& p = parts_;
  if (!p.keeps_best() || !p.info.best.measured || p.info.best.epoch > 0) return false;
  if (!p.session.has(ProgramKind::estimate)) return true;
  // Else the estimated statistics may be what is kept of epoch 0.
  if (p.has_baseline) return !(p.info.best.loss < p.baseline.loss);
  const auto initial = p.session.plan().initial_state();
  const std::byte* const given = p.shows_kept ? p.session.state().data() : p.kept;
  return std::memcmp(given, initial.data(), initial.size()) == 0;
}

void TrainingRun::Parts::keep() {
  std::memcpy(kept, session.state().data(), session.state().size());
  info.kept = progress();
}

void TrainingRun::Parts::restore() {
  std::memcpy(session.state().data(), kept, session.state().size());
}

void TrainingRun::Parts::swap() {
  const std::span<std::byte> state = session.state();
  std::swap_ranges(state.begin(), state.end(), kept);
  shows_kept = !shows_kept;
}

void TrainingRun::Parts::show_last() {
  if (shows_kept) swap();
}

// To the kept state, with a lower rate. Every way out leaves the run there.
Status TrainingRun::Parts::go_back(bool parameters) {
  const int64_t failed_step = progress().step + (parameters ? 0 : 1);
  const double rate = trainer->options().schedule.base * kRateFactor;
  restore();
  Status data_status;
  if (!parameters) {
    double loss = 0;
    data_status = trainer->loss_of_next_batch(&loss);
    if (data_status && !std::isfinite(loss)) {
      const std::string_view where = trainer->describe_next_batch();
      data_status = Status::error(
          "step %lld: the loss is not finite (%g), and neither is it with the state of step %lld: "
          "the data holds such numbers, or ones too large, among the examples from %.*s on",
          static_cast<long long>(failed_step), loss, static_cast<long long>(info.kept.step),
          static_cast<int>(where.size()), where.data());
    }
    restore();
  }
  const bool lower = data_status && info.rollbacks < options.most_rollbacks;
  ATTUNE_RETURN_IF_ERROR(
      trainer->go_back(info.kept, lower ? rate : trainer->options().schedule.base));
  info.measured_epoch = std::min(info.measured_epoch, info.kept.epoch);
  measured_step = -1;
  ATTUNE_RETURN_IF_ERROR(data_status);
  const char* const what = parameters ? "parameters are" : "the loss is";
  if (!lower && info.rollbacks == 0)
    return Status::error("step %lld: %s not finite: training has diverged; lower the learning rate",
                         static_cast<long long>(failed_step), what);
  if (!lower)
    return Status::error(
        "step %lld: %s not finite, after %lld times that the run went back and halved its learning "
        "rate, to %g: it ends at the state of step %lld; lower the learning rate by much, warm it "
        "up, or look at the scale of the data",
        static_cast<long long>(failed_step), what, static_cast<long long>(info.rollbacks),
        trainer->options().schedule.base, static_cast<long long>(info.kept.step));
  rolled_back = true;
  rollback = {failed_step, parameters, info.kept.step, ++info.rollbacks, rate};
  return Status::ok();
}

CheckpointInfo TrainingRun::Parts::whole_info() const {
  CheckpointInfo whole = info;
  whole.options = trainer->options();
  whole.progress = progress();
  return whole;
}

Status TrainingRun::Parts::prepare_to_save() {
  ATTUNE_RETURN_IF_ERROR(start());
  show_last();
  rolled_back = false;
  if (check_finite(plan(), session.state())) return Status::ok();
  return go_back(true);
}

}  // namespace attune
