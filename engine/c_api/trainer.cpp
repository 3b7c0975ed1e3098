#include <algorithm>
#include <cmath>
#include <limits>

#include "attune/run.h"
#include "engine/c_api/dataset.h"
#include "engine/c_api/objects.h"
#include "engine/c_api/stream.h"
#include "engine/c_api/watch.h"

using namespace attune;
using namespace attune::c_api;

struct attune_trainer {
  Home home;
  attune_session* session = nullptr;
  BlockAllocator block{nullptr, 0};  // of the caller's memory, where that was given
  CallersDataset data, held_out;
  std::unique_ptr<TrainingRun> run;
  bool started = false;
  bool finished = false;  // the session holds what the run gives

  ~attune_trainer() {
    run.reset();
    session->trainer = nullptr;
    session->trainer_block = nullptr;
  }
};

namespace {

struct Wanted {
  RunOptions run;
  int64_t epochs = 0, steps = 0, earlier_steps = 0;
  attune_dataset data = {}, held_out = {};
  bool holds_out = false;
  Offer offer;
};

attune_status read_options(const attune_dataset* data, const attune_trainer_options* given,
                           Wanted* wanted, attune_error* error) {
  attune_trainer_options o;
  ATTUNE_C_RETURN_IF_ERROR(read_dataset(data, &wanted->data, error));
  ATTUNE_C_RETURN_IF_ERROR(read(given, &o, "attune_trainer_options", error));
  if (o.held_out) ATTUNE_C_RETURN_IF_ERROR(read_dataset(o.held_out, &wanted->held_out, error));
  wanted->holds_out = o.held_out != nullptr;
  if (o.schedule < ATTUNE_SCHEDULE_CONSTANT || o.schedule > ATTUNE_SCHEDULE_COSINE)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_trainer_options: there is no schedule %d",
                static_cast<int>(o.schedule));
  if (o.patience < 0 || o.most_rollbacks < -1 || o.earlier_steps < 0 || o.reserved != 0)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_trainer_options: patience, most_rollbacks, earlier_steps or reserved has a "
                "value that means nothing");
  if (o.patience > 0 && !o.held_out)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_trainer_options: patience needs held_out, which it judges by");
  wanted->epochs = o.epochs, wanted->steps = o.steps, wanted->earlier_steps = o.earlier_steps;
  RunOptions& run = wanted->run;
  TrainOptions& train = run.train;
  train.epochs = o.epochs != 0 ? o.epochs : 1;
  train.steps = o.steps;
  train.seed = o.seed;
  train.shuffle = o.in_order == 0;
  train.schedule.kind = static_cast<ScheduleKind>(o.schedule);
  if (o.learning_rate != 0) train.schedule.base = o.learning_rate;
  train.schedule.warmup_steps = o.warmup_steps;
  if (o.schedule_every != 0) train.schedule.every = o.schedule_every;
  if (o.schedule_gamma != 0) train.schedule.gamma = o.schedule_gamma;
  run.keep_best = o.keep_last == 0;
  run.patience = o.patience;
  if (o.most_rollbacks != 0) run.most_rollbacks = std::max<int64_t>(o.most_rollbacks, 0);
  wanted->offer.memory = o.memory, wanted->offer.memory_bytes = o.memory_bytes;
  return ATTUNE_OK;
}

constexpr size_t own_bytes() {
  return (sizeof(attune_trainer) + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// Makes the object, without its run.
attune_status make(attune_session* session, Wanted& wanted, attune_trainer** made,
                   attune_error* error) {
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, ATTUNE_TRAIN_STEP, &kind, error));
  if (session->trainer)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "%s: the session has a trainer already; destroy it first",
                session->plan->plan.name());
  if (wanted.holds_out)
    ATTUNE_C_RETURN_IF_ERROR(program_of(session, ATTUNE_EVALUATE, &kind, error));
  if (wanted.offer.memory && !session->offer.memory && !session->offer.allocator.allocate)
    return fail(
        error, ATTUNE_ERROR_ARGUMENT,
        "attune_trainer_options: memory needs a session that was given memory or an allocator");
  wanted.offer.allocator = session->offer.allocator;
  Home home;
  ATTUNE_C_RETURN_IF_ERROR(find_home(wanted.offer, own_bytes(), "the trainer", &home, error));
  auto* trainer = new (home.block.data()) attune_trainer;
  trainer->home = home;
  trainer->session = session;
  trainer->data = CallersDataset(wanted.data, session->session.get(), ProgramKind::train_step);
  if (wanted.holds_out)
    trainer->held_out =
        CallersDataset(wanted.held_out, session->session.get(), ProgramKind::evaluate);
  session->trainer = trainer;
  if (wanted.offer.memory) {
    const auto rest = home.block.subspan(own_bytes());
    trainer->block = BlockAllocator(rest.data(), rest.size());
    session->trainer_block = &trainer->block;
  }
  *made = trainer;
  return ATTUNE_OK;
}

// Before each call, whose error told_of tells.
void begin(attune_trainer* trainer) {
  memory_was_refused() = false;
  trainer->data.begin();
  trainer->held_out.begin();
}

// Apart, as it is small and called often.
[[gnu::noinline]] attune_status told_of(const attune_trainer* trainer, const Status& status,
                                        attune_status otherwise, attune_error* error) {
  const bool data = trainer->data.failed() || trainer->held_out.failed();
  const attune_status kind = memory_was_refused() ? attune_status{ATTUNE_ERROR_MEMORY} : otherwise;
  return told(error, status, data ? attune_status{ATTUNE_ERROR_DATA} : kind);
}

// Makes the run of a trainer that is made; destroys that where it fails.
attune_status make_run(attune_trainer* trainer, const Wanted& wanted, attune_error* error) {
  begin(trainer);
  const Status status = TrainingRun::create(*trainer->session->session, trainer->data,
                                            wanted.holds_out ? &trainer->held_out : nullptr,
                                            wanted.run, &trainer->run);
  return told_of(trainer, status, ATTUNE_ERROR_ARGUMENT, error);
}

attune_status give_up(attune_trainer* trainer, attune_status status) {
  destroy(trainer);
  return status;
}

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

void write_progress(const attune_trainer* trainer, int32_t stop, attune_progress* out) {
  if (!out) return;
  const TrainingRun& run = *trainer->run;
  const TrainProgress& at = run.trainer().progress();
  const CheckpointInfo info = run.info();
  attune_progress p = {};
  p.step = at.step, p.total_steps = run.trainer().total_steps();
  p.epoch = at.epoch, p.batch = at.batch;
  p.steps_per_epoch = run.trainer().steps_per_epoch();
  p.loss = at.step > 0 ? at.last_loss : kUnknown;
  p.learning_rate = at.step > 0 ? at.last_rate : kUnknown;
  const bool epoch = run.trainer().last_epoch().examples > 0;
  p.epoch_loss = epoch ? run.trainer().last_epoch().loss : kUnknown;
  p.epoch_accuracy = epoch ? run.trainer().last_epoch().accuracy : kUnknown;
  const Evaluation *held_out = run.held_out(), *baseline = run.baseline();
  p.held_out_loss = held_out ? held_out->loss : kUnknown;
  p.held_out_accuracy = held_out ? held_out->accuracy : kUnknown;
  p.baseline_loss = baseline ? baseline->loss : kUnknown;
  p.baseline_accuracy = baseline ? baseline->accuracy : kUnknown;
  p.best_epoch = info.best.epoch, p.best_step = info.best.step;
  p.best_loss = info.best.measured ? info.best.loss : kUnknown;
  p.best_accuracy = info.best.measured ? info.best.accuracy : kUnknown;
  p.rollbacks = info.rollbacks;
  p.stop = stop;
  p.epoch_ended = run.epoch_ended();
  p.rolled_back = run.rollback() != nullptr;
  p.kept_baseline = run.kept_baseline();
  write(out, p);
}

attune_status check_progress(const attune_progress* progress, attune_error* error) {
  return progress ? check_struct(progress, "attune_progress", error) : attune_status{ATTUNE_OK};
}

// Measures the baseline, once.
Status start(attune_trainer* trainer) {
  if (trainer->started) return Status::ok();
  ATTUNE_RETURN_IF_ERROR(trainer->run->start());
  trainer->started = true;
  return Status::ok();
}

int32_t ask(void* context) { return static_cast<const Watch*>(context)->ask(); }

// Trains until something ends the call, which `stop` tells.
Status go_on(attune_trainer* trainer, const Watch& watch, int32_t* stop) {
  TrainingRun& run = *trainer->run;
  const attune_control& control = watch.control();
  *stop = watch.ask();
  if (*stop != ATTUNE_RUNNING) return Status::ok();
  ATTUNE_RETURN_IF_ERROR(start(trainer));
  int64_t longest = 0;
  for (int64_t steps = 0;; ++steps) {
    if (run.measure_is_due()) ATTUNE_RETURN_IF_ERROR(run.measure());
    if (run.done()) break;
    *stop = watch.ask();
    if (*stop == ATTUNE_RUNNING && control.max_steps > 0 && steps == control.max_steps)
      *stop = ATTUNE_OUT_OF_STEPS;
    const int64_t began = watch.microseconds();
    if (*stop == ATTUNE_RUNNING && steps > 0 && !watch.has_time_for(longest))
      *stop = ATTUNE_OUT_OF_TIME;
    if (*stop != ATTUNE_RUNNING) return Status::ok();
    trainer->finished = false;
    ATTUNE_RETURN_IF_ERROR(run.step());
    longest = std::max(longest, watch.microseconds() - began);
    if (control.on_progress) {
      attune_progress progress = {};
      progress.size = sizeof(progress);
      write_progress(trainer, ATTUNE_RUNNING, &progress);
      control.on_progress(control.context, &progress);
    }
  }
  ATTUNE_RETURN_IF_ERROR(run.finish());
  trainer->finished = true;
  *stop = ATTUNE_FINISHED;
  return Status::ok();
}

// What a resumed run takes of the checkpoint, and what of the caller.
attune_status take_options(const CheckpointFacts& facts, const char* name, Wanted* wanted,
                           attune_error* error) {
  if (!facts.fits)
    return fail(error, ATTUNE_ERROR_CHECKPOINT,
                "%s: checkpoint of another model, scheme or optimizer; it cannot be resumed", name);
  if (facts.info.dataset_size > 0 && facts.info.dataset_size != wanted->data.count)
    return fail(
        error, ATTUNE_ERROR_DATA,
        "%s: it was trained on %lld examples, and there are %lld; resume on the same data, or "
        "start another run from it",
        name, static_cast<long long>(facts.info.dataset_size),
        static_cast<long long>(wanted->data.count));
  RunOptions& run = wanted->run;
  run.train = facts.info.options;
  if (wanted->epochs != 0) run.train.epochs = wanted->epochs;
  if (wanted->steps != 0) run.train.steps = wanted->steps;
  run.keep_best = facts.info.keep_best;
  run.patience = facts.info.patience;
  return ATTUNE_OK;
}

Status resume_from(CallersSource& from, Session& session, TrainingRun& run) {
  CheckpointInfo info;
  ATTUNE_RETURN_IF_ERROR(load_checkpoint(from, from.name(), session, &info, CheckpointState::kept));
  std::memcpy(run.kept_state().data(), session.state().data(), session.state().size());
  ATTUNE_RETURN_IF_ERROR(load_checkpoint(from, from.name(), session, &info, CheckpointState::last));
  return run.resume(info);
}

// Makes a trainer of a checkpoint: `examine` says what that is, `resume` puts it into the run.
template <class Examine, class Resume>
attune_status resume(attune_session* session, const attune_dataset* data,
                     const attune_trainer_options* options, const char* name, Examine&& examine,
                     Resume&& resume, attune_trainer** made, attune_error* error) {
  Wanted wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_options(data, options, &wanted, error));
  CheckpointFacts facts;
  ATTUNE_C_RETURN_IF_ERROR(
      told(error, examine(session->plan->plan, &facts), ATTUNE_ERROR_CHECKPOINT));
  ATTUNE_C_RETURN_IF_ERROR(take_options(facts, name, &wanted, error));
  attune_trainer* trainer = nullptr;
  ATTUNE_C_RETURN_IF_ERROR(make(session, wanted, &trainer, error));
  attune_status status = make_run(trainer, wanted, error);
  if (status != ATTUNE_OK) return give_up(trainer, status);
  status = told_of(trainer, resume(*trainer->run), ATTUNE_ERROR_CHECKPOINT, error);
  if (status != ATTUNE_OK) return give_up(trainer, status);
  *made = trainer;
  return succeed(error);
}

}  // namespace

attune_status attune_trainer_bytes(const attune_session* session, const attune_dataset* data,
                                   const attune_trainer_options* options, size_t* bytes,
                                   attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_bytes, session);
  ATTUNE_C_NEED(attune_trainer_bytes, data);
  ATTUNE_C_NEED(attune_trainer_bytes, bytes);
  Wanted wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_options(data, options, &wanted, error));
  *bytes = own_bytes() + TrainingRun::required_bytes(*session->session, wanted.data.count);
  return succeed(error);
}

attune_status attune_trainer_create(attune_session* session, const attune_dataset* data,
                                    const attune_trainer_options* options, attune_trainer** trainer,
                                    attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_create, session);
  ATTUNE_C_NEED(attune_trainer_create, data);
  ATTUNE_C_NEED(attune_trainer_create, trainer);
  Wanted wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_options(data, options, &wanted, error));
  attune_trainer* made = nullptr;
  ATTUNE_C_RETURN_IF_ERROR(make(session, wanted, &made, error));
  attune_status status = make_run(made, wanted, error);
  if (status == ATTUNE_OK && wanted.earlier_steps > 0)
    status = told(error, made->run->continue_from(wanted.earlier_steps), ATTUNE_ERROR_ARGUMENT);
  if (status != ATTUNE_OK) return give_up(made, status);
  *trainer = made;
  return succeed(error);
}

attune_status attune_trainer_resume(attune_session* session, const attune_dataset* data,
                                    const attune_trainer_options* options, const char* path,
                                    attune_trainer** trainer, attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_resume, session);
  ATTUNE_C_NEED(attune_trainer_resume, data);
  ATTUNE_C_NEED(attune_trainer_resume, path);
  ATTUNE_C_NEED(attune_trainer_resume, trainer);
  return resume(
      session, data, options, path,
      [&](const Plan& plan, CheckpointFacts* facts) {
        return examine_checkpoint(path, plan, facts);
      },
      [&](TrainingRun& run) { return run.resume(path); }, trainer, error);
}

attune_status attune_trainer_resume_source(attune_session* session, const attune_dataset* data,
                                           const attune_trainer_options* options,
                                           const attune_source* source, attune_trainer** trainer,
                                           attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_resume_source, session);
  ATTUNE_C_NEED(attune_trainer_resume_source, data);
  ATTUNE_C_NEED(attune_trainer_resume_source, source);
  ATTUNE_C_NEED(attune_trainer_resume_source, trainer);
  CallersSource from;
  ATTUNE_C_RETURN_IF_ERROR(CallersSource::read(source, &from, error));
  return resume(
      session, data, options, from.name(),
      [&](const Plan& plan, CheckpointFacts* facts) {
        return examine_checkpoint(from, from.name(), plan, facts);
      },
      [&](TrainingRun& run) { return resume_from(from, *session->session, run); }, trainer, error);
}

void attune_trainer_destroy(attune_trainer* trainer) {
  if (trainer) destroy(trainer);
}

attune_status attune_trainer_run(attune_trainer* trainer, const attune_control* given,
                                 attune_progress* progress, attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_run, trainer);
  ATTUNE_C_RETURN_IF_ERROR(check_progress(progress, error));
  attune_control control;
  ATTUNE_C_RETURN_IF_ERROR(read_control(given, &control, error));
  Watch watch;
  ATTUNE_C_RETURN_IF_ERROR(Watch::start(control, trainer->session->clock, &watch, error));
  begin(trainer);
  trainer->held_out.ask(ask, &watch);
  int32_t stop = ATTUNE_RUNNING;
  const Status status = go_on(trainer, watch, &stop);
  trainer->held_out.ask(nullptr, nullptr);
  if (!status && trainer->held_out.stopped() != ATTUNE_RUNNING) {
    stop = trainer->held_out.stopped();  // measured anew in the next call
  } else {
    ATTUNE_C_RETURN_IF_ERROR(told_of(trainer, status, ATTUNE_ERROR_RUN, error));
  }
  write_progress(trainer, stop, progress);
  return succeed(error);
}

attune_status attune_trainer_step(attune_trainer* trainer, attune_progress* progress,
                                  attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_step, trainer);
  ATTUNE_C_RETURN_IF_ERROR(check_progress(progress, error));
  begin(trainer);
  ATTUNE_C_RETURN_IF_ERROR(told_of(trainer, start(trainer), ATTUNE_ERROR_RUN, error));
  if (trainer->run->done())
    return fail(error, ATTUNE_ERROR_ARGUMENT, "the run is finished after %lld steps",
                static_cast<long long>(trainer->run->trainer().progress().step));
  trainer->finished = false;
  ATTUNE_C_RETURN_IF_ERROR(told_of(trainer, trainer->run->step(), ATTUNE_ERROR_RUN, error));
  write_progress(trainer, trainer->run->done() ? ATTUNE_FINISHED : ATTUNE_RUNNING, progress);
  return succeed(error);
}

attune_status attune_trainer_finish(attune_trainer* trainer, attune_progress* progress,
                                    attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_finish, trainer);
  ATTUNE_C_RETURN_IF_ERROR(check_progress(progress, error));
  begin(trainer);
  ATTUNE_C_RETURN_IF_ERROR(told_of(trainer, start(trainer), ATTUNE_ERROR_RUN, error));
  ATTUNE_C_RETURN_IF_ERROR(told_of(trainer, trainer->run->finish(), ATTUNE_ERROR_RUN, error));
  trainer->finished = true;
  write_progress(trainer, trainer->run->done() ? ATTUNE_FINISHED : ATTUNE_RUNNING, progress);
  return succeed(error);
}

attune_status attune_trainer_progress(const attune_trainer* trainer, attune_progress* progress,
                                      attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_progress, trainer);
  ATTUNE_C_NEED(attune_trainer_progress, progress);
  ATTUNE_C_RETURN_IF_ERROR(check_progress(progress, error));
  write_progress(trainer, trainer->run->done() ? ATTUNE_FINISHED : ATTUNE_RUNNING, progress);
  return succeed(error);
}

attune_status attune_trainer_learning_rate(const attune_trainer* trainer, double* rate,
                                           attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_learning_rate, trainer);
  ATTUNE_C_NEED(attune_trainer_learning_rate, rate);
  *rate = trainer->run->trainer().rate();
  return succeed(error);
}

attune_status attune_trainer_set_learning_rate(attune_trainer* trainer, double rate,
                                               attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_set_learning_rate, trainer);
  return told(error, trainer->run->set_rate(rate), ATTUNE_ERROR_ARGUMENT);
}

attune_status attune_trainer_save(attune_trainer* trainer, const char* path, attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_save, trainer);
  ATTUNE_C_NEED(attune_trainer_save, path);
  return MemoryWatch::told(error, ATTUNE_ERROR_CHECKPOINT,
                           [&] { return trainer->run->save(path); });
}

attune_status attune_trainer_write(attune_trainer* trainer, const attune_sink* sink,
                                   attune_error* error) {
  ATTUNE_C_NEED(attune_trainer_write, trainer);
  ATTUNE_C_NEED(attune_trainer_write, sink);
  CallersSink own;
  ATTUNE_C_RETURN_IF_ERROR(CallersSink::read(sink, &own, error));
  TrainingRun& run = *trainer->run;
  ATTUNE_C_RETURN_IF_ERROR(
      MemoryWatch::told(error, ATTUNE_ERROR_CHECKPOINT, [&] { return run.prepare_to_save(); }));
  Status status = save_checkpoint(own, own.name(), run.session(), run.info(), run.kept_state());
  if (status && trainer->finished) status = run.finish();  // shows again what the run gives
  return told(error, status, ATTUNE_ERROR_CHECKPOINT);
}
