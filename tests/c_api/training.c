/* Trainers: runs, time and other limits, harm that is not done, checkpoints. */
#include <math.h>

#include "tests/c_api/check.h"

enum { kExamples = 40, kSteps = 5 }; /* of an epoch, at a batch of 8 */

static data learnable(void) {
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  return numbers;
}

/* All parameters, one behind the other. */
static char* parameters(const attune_session* session, size_t* bytes) {
  attune_parameter p = {.size = sizeof(p)};
  char* all = NULL;
  int32_t i;
  *bytes = 0;
  for (i = 0; attune_session_parameter(session, i, &p, &g_error) == ATTUNE_OK; ++i) {
    all = realloc(all, *bytes + p.bytes);
    REQUIRE_OK(
        attune_session_get_parameter(session, p.name, NULL, all + *bytes, p.bytes, &g_error));
    *bytes += p.bytes;
  }
  return all;
}

static int same_parameters(const attune_session* a, const attune_session* b) {
  size_t of_a, of_b;
  char *in_a = parameters(a, &of_a), *in_b = parameters(b, &of_b);
  const int same = of_a == of_b && memcmp(in_a, in_b, of_a) == 0;
  free(in_a);
  free(in_b);
  return same;
}

typedef struct watcher {
  long told, epochs, asks, stops_at;
  double last_loss;
  attune_trainer* trainer;
  double sets_rate;
} watcher;

static void watch(void* context, const attune_progress* progress) {
  watcher* of = context;
  ++of->told;
  of->epochs += progress->epoch_ended;
  of->last_loss = progress->loss;
  CHECK(progress->size == sizeof(*progress) && progress->stop == ATTUNE_RUNNING);
  if (of->sets_rate > 0)
    REQUIRE_OK(attune_trainer_set_learning_rate(of->trainer, of->sets_rate, &g_error));
}

static int32_t may_go_on(void* context) {
  watcher* of = context;
  return ++of->asks != of->stops_at;
}

void test_training(const attune_plan* plan) {
  data numbers = learnable();
  const attune_dataset set = dataset_of(&numbers, kExamples);
  attune_trainer_options options = {.size = sizeof(options), .epochs = 20, .learning_rate = 0.02};
  attune_control control = {.size = sizeof(control)};
  attune_progress progress = {.size = sizeof(progress)};
  attune_evaluation before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
  attune_session* session = NULL;
  attune_trainer* trainer = NULL;
  watcher seen = {0};
  long allocated;

  control.context = &seen;
  control.on_progress = watch;
  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  REQUIRE_OK(attune_session_evaluate(session, &set, NULL, &before, &g_error));
  options.schedule = ATTUNE_SCHEDULE_COSINE;
  options.warmup_steps = 5;
  REQUIRE_OK(attune_trainer_create(session, &set, &options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_progress(trainer, &progress, &g_error));
  CHECK(progress.step == 0 && progress.total_steps == 20 * kSteps);
  CHECK(progress.steps_per_epoch == kSteps && isnan(progress.loss) && isnan(progress.best_loss));
  allocated = allocations();
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(allocations() == allocated);
  CHECK(seen.told == 20 * kSteps && seen.epochs == 20);
  CHECK(progress.stop == ATTUNE_FINISHED && progress.epoch == 20 && progress.batch == 0);
  CHECK(progress.step == 20 * kSteps && progress.loss == seen.last_loss);
  CHECK(progress.epoch_loss < 0.5 * before.loss);
  CHECK(progress.epoch_accuracy >= 0 && progress.epoch_accuracy <= 1);
  CHECK(isnan(progress.held_out_loss) && progress.rollbacks == 0);
  REQUIRE_OK(attune_session_evaluate(session, &set, NULL, &after, &g_error));
  CHECK(after.loss < 0.5 * before.loss);
  CHECK_FAILS(attune_trainer_step(trainer, &progress, &g_error), ATTUNE_ERROR_ARGUMENT, "finished");
  attune_trainer_destroy(trainer);

  /* Options without a meaning. */
  options.schedule = 3;
  CHECK_FAILS(attune_trainer_create(session, &set, &options, &trainer, &g_error),
              ATTUNE_ERROR_ARGUMENT, "schedule 3");
  options.schedule = 0;
  options.patience = 2;
  CHECK_FAILS(attune_trainer_create(session, &set, &options, &trainer, &g_error),
              ATTUNE_ERROR_ARGUMENT, "held_out");
  options.patience = 0;
  options.learning_rate = -1;
  CHECK_FAILS(attune_trainer_create(session, &set, &options, &trainer, &g_error),
              ATTUNE_ERROR_ARGUMENT, "learning rate -1");
  options.learning_rate = NAN;
  CHECK_FAILS(attune_trainer_create(session, &set, &options, &trainer, &g_error),
              ATTUNE_ERROR_ARGUMENT, "learning rate");
  options.learning_rate = 0.01;
  options.epochs = -1;
  CHECK_FAILS(attune_trainer_create(session, &set, &options, &trainer, &g_error),
              ATTUNE_ERROR_ARGUMENT, "epochs");
  attune_session_destroy(session);
}

static int64_t counted_time(void* context) { return 1000 * *(long*)context; }

/* A run in pieces, whatever ends them, is the run in one piece. */
void test_training_control(const attune_plan* plan) {
  long now = 0, calls = 0;
  data numbers = learnable(), timed = learnable();
  attune_dataset set = dataset_of(&numbers, kExamples), slow;
  attune_trainer_options options = {.size = sizeof(options), .epochs = 3, .seed = 7};
  attune_control control = {.size = sizeof(control)};
  attune_progress progress = {.size = sizeof(progress)};
  attune_clock clock = {.size = sizeof(clock), .context = &now};
  attune_session_options timing = {.size = sizeof(timing), .clock = &clock};
  attune_session *whole = NULL, *pieces = NULL;
  attune_trainer* trainer = NULL;
  watcher seen = {0};
  double rate = 0;

  clock.microseconds = counted_time;
  timed.clock = &now;
  slow = dataset_of(&timed, kExamples);
  REQUIRE_OK(attune_session_create(plan, NULL, &whole, &g_error));
  REQUIRE_OK(attune_trainer_create(whole, &set, &options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_run(trainer, NULL, NULL, &g_error));
  attune_trainer_destroy(trainer);

  REQUIRE_OK(attune_session_create(plan, &timing, &pieces, &g_error));
  /* A step takes 8 ms, as its examples do: of 20, two steps fit. */
  REQUIRE_OK(attune_trainer_create(pieces, &slow, &options, &trainer, &g_error));
  control.budget_ms = 20;
  do {
    const long began = now;
    REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
    CHECK(now - began <= 20);
    CHECK(progress.stop == ATTUNE_OUT_OF_TIME || progress.stop == ATTUNE_FINISHED);
    CHECK(progress.step == 2 * ++calls || progress.stop == ATTUNE_FINISHED);
  } while (progress.stop != ATTUNE_FINISHED && calls < 100);
  CHECK(calls == 8);
  CHECK(same_parameters(whole, pieces));
  attune_trainer_destroy(trainer);
  /* One that is too short for a step gets on by one. */
  REQUIRE_OK(attune_session_reset(pieces, &g_error));
  REQUIRE_OK(attune_trainer_create(pieces, &slow, &options, &trainer, &g_error));
  control.budget_ms = 1;
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(progress.step == 1 && progress.stop == ATTUNE_OUT_OF_TIME);
  /* should_continue ends a call, at once if it says so at once; the next one goes on. */
  control.budget_ms = 0;
  control.context = &seen;
  control.should_continue = may_go_on;
  seen.stops_at = 1;
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(progress.step == 1 && progress.stop == ATTUNE_STOPPED);
  seen.stops_at = 6;
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(progress.step > 1 && progress.step < 3 * kSteps && progress.stop == ATTUNE_STOPPED);
  /* A data set that fails for once. */
  timed.fails_at = 3;
  CHECK_FAILS(attune_trainer_run(trainer, NULL, &progress, &g_error), ATTUNE_ERROR_DATA, "take 3");
  timed.fails_at = -1;
  control.max_steps = 2;
  seen.stops_at = -1;
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(progress.stop == ATTUNE_OUT_OF_STEPS);
  while (progress.stop != ATTUNE_FINISHED)
    REQUIRE_OK(attune_trainer_step(trainer, &progress, &g_error));
  REQUIRE_OK(attune_trainer_finish(trainer, &progress, &g_error));
  CHECK(same_parameters(whole, pieces));
  attune_trainer_destroy(trainer);

  /* The rate, before and during a run. */
  REQUIRE_OK(attune_session_reset(pieces, &g_error));
  options.schedule = ATTUNE_SCHEDULE_STEP;
  options.schedule_every = 2;
  options.schedule_gamma = 0.5;
  options.learning_rate = 0.08;
  REQUIRE_OK(attune_trainer_create(pieces, &set, &options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_learning_rate(trainer, &rate, &g_error));
  CHECK(rate == 0.08);
  REQUIRE_OK(attune_trainer_step(trainer, &progress, &g_error));
  CHECK(progress.learning_rate == 0.08);
  REQUIRE_OK(attune_trainer_step(trainer, &progress, &g_error));
  REQUIRE_OK(attune_trainer_learning_rate(trainer, &rate, &g_error));
  CHECK(fabs(rate - 0.04) < 1e-12);
  REQUIRE_OK(attune_trainer_set_learning_rate(trainer, 0.01, &g_error));
  REQUIRE_OK(attune_trainer_learning_rate(trainer, &rate, &g_error));
  CHECK(fabs(rate - 0.01) < 1e-12);
  REQUIRE_OK(attune_trainer_step(trainer, &progress, &g_error));
  CHECK(fabs(progress.learning_rate - 0.01) < 1e-12);
  REQUIRE_OK(attune_trainer_step(trainer, &progress, &g_error));
  REQUIRE_OK(attune_trainer_step(trainer, &progress, &g_error));
  CHECK(fabs(progress.learning_rate - 0.005) < 1e-12); /* the schedule's shape stays */
  CHECK_FAILS(attune_trainer_set_learning_rate(trainer, -1, &g_error), ATTUNE_ERROR_ARGUMENT, "-");
  CHECK_FAILS(attune_trainer_set_learning_rate(trainer, NAN, &g_error), ATTUNE_ERROR_ARGUMENT,
              "rate");
  memset(&seen, 0, sizeof(seen));
  seen.trainer = trainer;
  seen.sets_rate = 0.003;
  control.should_continue = NULL;
  control.on_progress = watch;
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(fabs(progress.learning_rate - 0.003) < 1e-12 && seen.told == 2);
  attune_trainer_destroy(trainer);
  attune_session_destroy(pieces);
  attune_session_destroy(whole);
}

/* Training that makes the model worse gives the model as it was; numbers that are not finite are
   gone back from. */
void test_training_harm(const attune_plan* plan) {
  data numbers = learnable(), wrong = learnable();
  const attune_dataset judge = dataset_of(&numbers, kExamples);
  const attune_dataset set = dataset_of(&numbers, kExamples);
  attune_dataset turned;
  attune_trainer_options options = {.size = sizeof(options), .epochs = 4, .learning_rate = 0.05};
  attune_progress progress = {.size = sizeof(progress)};
  attune_control control = {.size = sizeof(control)};
  attune_evaluation good = {.size = sizeof(good)};
  attune_session *session = NULL, *copy = NULL;
  attune_trainer* trainer = NULL;
  attune_status status;
  watcher seen = {0};
  size_t bytes, i;
  char* all;

  wrong.turn = 3;
  turned = dataset_of(&wrong, kExamples);
  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  REQUIRE_OK(attune_session_create(plan, NULL, &copy, &g_error));
  /* First to a good model, judged by held-out data. */
  options.held_out = &judge;
  REQUIRE_OK(attune_trainer_create(session, &set, &options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_run(trainer, NULL, &progress, &g_error));
  CHECK(progress.kept_baseline == 0 && progress.best_epoch > 0);
  CHECK(progress.best_loss < progress.baseline_loss && isfinite(progress.held_out_loss));
  REQUIRE_OK(attune_session_evaluate(session, &judge, NULL, &good, &g_error));
  CHECK(good.loss == progress.best_loss && good.accuracy == progress.best_accuracy);
  attune_trainer_destroy(trainer);
  {
    attune_parameter p = {.size = sizeof(p)};
    int32_t k;
    for (k = 0; attune_session_parameter(session, k, &p, NULL) == ATTUNE_OK; ++k) {
      void* values = malloc(p.bytes);
      REQUIRE_OK(attune_session_get_parameter(session, p.name, NULL, values, p.bytes, &g_error));
      REQUIRE_OK(attune_session_set_parameter(copy, p.name, NULL, values, p.bytes, &g_error));
      free(values);
    }
  }
  CHECK(same_parameters(session, copy));

  /* Then on labels that are wrong. should_continue ends the first measurement, too. */
  REQUIRE_OK(attune_trainer_create(session, &turned, &options, &trainer, &g_error));
  control.context = &seen;
  control.should_continue = may_go_on;
  seen.stops_at = 10;
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(progress.stop == ATTUNE_STOPPED && progress.step == 0 && isnan(progress.baseline_loss));
  REQUIRE_OK(attune_trainer_run(trainer, NULL, &progress, &g_error));
  CHECK(progress.stop == ATTUNE_FINISHED && progress.kept_baseline == 1);
  CHECK(progress.baseline_loss == good.loss && progress.held_out_loss > good.loss);
  CHECK(same_parameters(session, copy));
  attune_trainer_destroy(trainer);
  /* Where the last state was asked for, it is given. */
  options.keep_last = 1;
  REQUIRE_OK(attune_trainer_create(session, &turned, &options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_run(trainer, NULL, &progress, &g_error));
  CHECK(!same_parameters(session, copy));
  attune_trainer_destroy(trainer);

  /* A rate that no model survives, without anything that judges. */
  REQUIRE_OK(attune_session_reset(session, &g_error));
  options.keep_last = 0;
  options.held_out = NULL;
  options.learning_rate = 1e10;
  REQUIRE_OK(attune_trainer_create(session, &set, &options, &trainer, &g_error));
  status = attune_trainer_run(trainer, NULL, &progress, &g_error);
  CHECK(status == ATTUNE_OK || status == ATTUNE_ERROR_RUN);
  REQUIRE_OK(attune_trainer_progress(trainer, &progress, &g_error));
  CHECK(progress.rollbacks > 0 && progress.rollbacks <= 10);
  all = parameters(session, &bytes);
  for (i = 0; i < bytes / sizeof(float); ++i) CHECK(isfinite(((float*)(void*)all)[i]));
  free(all);
  attune_trainer_destroy(trainer);
  /* A loss that is not finite from the start, which no rate helps. */
  spoil(session);
  options.learning_rate = 0.01;
  REQUIRE_OK(attune_trainer_create(session, &turned, &options, &trainer, &g_error));
  CHECK_FAILS(attune_trainer_run(trainer, NULL, NULL, &g_error), ATTUNE_ERROR_RUN, "not finite");
  attune_trainer_destroy(trainer);
  attune_session_destroy(copy);
  attune_session_destroy(session);
}

typedef struct vault {
  char bytes[400000];
  size_t size;
} vault;

static int32_t put(void* context, const void* bytes, size_t count) {
  vault* of = context;
  if (count > sizeof(of->bytes) - of->size) return 1;
  memcpy(of->bytes + of->size, bytes, count);
  of->size += count;
  return 0;
}

static int32_t get(void* context, uint64_t offset, void* bytes, size_t count) {
  memcpy(bytes, ((vault*)context)->bytes + offset, count);
  return 0;
}

/* A run that is saved and resumed elsewhere is the run that was never interrupted. */
void test_training_checkpoints(const attune_plan* plan, const char* folder) {
  static vault kept;
  data numbers = learnable(), wrong = learnable();
  const attune_dataset set = dataset_of(&numbers, kExamples), judge = dataset_of(&wrong, 16);
  const attune_dataset fewer = dataset_of(&numbers, kExamples - 1);
  attune_trainer_options options = {.size = sizeof(options), .epochs = 3, .seed = 3};
  attune_trainer_options rest = {.size = sizeof(rest)};
  attune_control control = {.size = sizeof(control), .max_steps = kSteps + 2};
  attune_progress whole = {.size = sizeof(whole)}, resumed = {.size = sizeof(resumed)};
  attune_checkpoint_info info = {.size = sizeof(info)};
  attune_sink sink = {.size = sizeof(sink), .context = &kept};
  attune_source source = {.size = sizeof(source), .context = &kept};
  attune_session *a = NULL, *b = NULL;
  attune_trainer *first = NULL, *second = NULL;
  char path[512];
  int by_path;

  wrong.turn = 1;
  sink.write = put;
  source.read = get;
  sprintf(path, "%.400s/run.atc", folder);
  options.held_out = rest.held_out = &judge;
  for (by_path = 0; by_path < 2; ++by_path) {
    REQUIRE_OK(attune_session_create(plan, NULL, &a, &g_error));
    REQUIRE_OK(attune_session_create(plan, NULL, &b, &g_error));
    REQUIRE_OK(attune_trainer_create(a, &set, &options, &first, &g_error));
    REQUIRE_OK(attune_trainer_run(first, &control, NULL, &g_error));
    kept.size = 0;
    if (by_path) {
      REQUIRE_OK(attune_trainer_save(first, path, &g_error));
      REQUIRE_OK(attune_plan_examine(plan, path, &info, &g_error));
    } else {
      REQUIRE_OK(attune_trainer_write(first, &sink, &g_error));
      source.bytes = kept.size;
      REQUIRE_OK(attune_plan_examine_source(plan, &source, &info, &g_error));
    }
    CHECK(info.step == kSteps + 2 && info.epoch == 1 && info.finished == 0);
    CHECK(info.dataset_size == kExamples && info.keeps_best == 1);
    REQUIRE_OK(attune_trainer_run(first, NULL, &whole, &g_error));

    CHECK_FAILS(by_path
                    ? attune_trainer_resume(b, &fewer, &rest, path, &second, &g_error)
                    : attune_trainer_resume_source(b, &fewer, &rest, &source, &second, &g_error),
                ATTUNE_ERROR_DATA, "trained on 40 examples");
    if (by_path)
      REQUIRE_OK(attune_trainer_resume(b, &set, &rest, path, &second, &g_error));
    else
      REQUIRE_OK(attune_trainer_resume_source(b, &set, &rest, &source, &second, &g_error));
    REQUIRE_OK(attune_trainer_run(second, NULL, &resumed, &g_error));
    CHECK(resumed.step == 3 * kSteps && resumed.loss == whole.loss);
    CHECK(resumed.best_loss == whole.best_loss && resumed.best_epoch == whole.best_epoch);
    CHECK(same_parameters(a, b));
    /* Saved when it is finished, the session still holds what the run gives. */
    kept.size = 0;
    REQUIRE_OK(attune_trainer_write(second, &sink, &g_error));
    CHECK(same_parameters(a, b));
    source.bytes = kept.size;
    attune_trainer_destroy(second);
    REQUIRE_OK(attune_session_reset(b, &g_error));
    REQUIRE_OK(attune_session_read(b, &source, &info, &g_error));
    CHECK(info.finished == 1 && same_parameters(a, b));

    /* Another run, from there. */
    REQUIRE_OK(attune_session_start_from_source(b, &source, &info, &g_error));
    CHECK(info.earlier_steps > 0 || info.best_epoch == 0);
    rest.earlier_steps = info.earlier_steps;
    REQUIRE_OK(attune_trainer_create(b, &set, &rest, &second, &g_error));
    REQUIRE_OK(attune_trainer_run(second, NULL, &resumed, &g_error));
    CHECK(resumed.step == kSteps);
    rest.earlier_steps = 0;
    attune_trainer_destroy(second);
    attune_trainer_destroy(first);
    attune_session_destroy(b);
    attune_session_destroy(a);
  }
}
