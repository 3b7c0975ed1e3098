/* Sessions: their memory, ports, programs. */
#include <math.h>
#include <pthread.h>

#include "tests/c_api/check.h"

/* An allocator that counts, and may refuse. */
typedef struct heap {
  long blocks, bytes, calls, refuses_at, refuses_from;
} heap;

static void* take(void* context, size_t bytes, size_t alignment) {
  heap* of = context;
  if (++of->calls == of->refuses_at) return NULL;
  if (of->refuses_from > 0 && of->calls >= of->refuses_from) return NULL;
  ++of->blocks;
  of->bytes += (long)bytes;
  return alignment <= 64 ? aligned_block(bytes) : NULL;
}

static void give(void* context, void* memory, size_t bytes) {
  heap* of = context;
  --of->blocks;
  of->bytes -= (long)bytes;
  free(memory);
}

static attune_allocator allocator_of(heap* of) {
  attune_allocator allocator = {.size = sizeof(allocator), .context = of};
  allocator.allocate = take;
  allocator.release = give;
  return allocator;
}

/* Runs tasks backwards, half of them in another thread. */
typedef struct half {
  attune_task task;
  void* argument;
  int64_t first, end;
} half;

static void* run_half(void* context) {
  const half* of = context;
  int64_t i;
  for (i = of->end - 1; i >= of->first; --i) of->task(of->argument, i);
  return NULL;
}

static void run_tasks(void* context, int64_t count, attune_task task, void* argument) {
  half back = {task, argument, count / 2, count}, front = {task, argument, 0, count / 2};
  pthread_t thread;
  ++*(long*)context;
  if (pthread_create(&thread, NULL, run_half, &back) != 0) {
    run_half(&back);
    run_half(&front);
    return;
  }
  run_half(&front);
  pthread_join(thread, NULL);
}

/* Trains some steps; the loss of the last one. */
static double train(attune_session* session, const attune_trainer_options* options, long steps) {
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  const attune_dataset set = dataset_of(&numbers, 64);
  attune_progress progress = {.size = sizeof(progress)};
  attune_control control = {.size = sizeof(control), .max_steps = steps};
  attune_trainer* trainer = NULL;
  REQUIRE_OK(attune_trainer_create(session, &set, options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_run(trainer, &control, &progress, &g_error));
  CHECK(progress.step == steps && progress.stop == ATTUNE_OUT_OF_STEPS);
  attune_trainer_destroy(trainer);
  return progress.loss;
}

void test_memory(const char* path) {
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  const attune_dataset set = dataset_of(&numbers, 64);
  attune_session_options options = {.size = sizeof(options)};
  attune_plan_options plan_options = {.size = sizeof(plan_options)};
  attune_trainer_options training = {.size = sizeof(training), .epochs = 3, .learning_rate = 0.01};
  attune_memory report = {.size = sizeof(report)};
  attune_parallel_for parallel = {.size = sizeof(parallel), .threads = 2};
  heap counts = {0};
  const attune_allocator allocator = allocator_of(&counts);
  attune_plan *plan = NULL, *other = NULL;
  attune_session* session = NULL;
  size_t needed = 0, trainer_needs = 0, file_bytes = 0;
  long before, calls, refused, parallel_calls = 0;
  double loss, same;
  char* block;
  void* bytes = read_file(path, &file_bytes);

  /* On one thread, by the library's memory: what the others are compared with. */
  REQUIRE_OK(attune_plan_from_memory(bytes, file_bytes, NULL, &plan, &g_error));
  options.backend = ATTUNE_BACKEND_REFERENCE;
  REQUIRE_OK(attune_session_create(plan, &options, &session, &g_error));
  loss = train(session, &training, 20);
  CHECK(isfinite(loss) && loss > 0);
  REQUIRE_OK(attune_session_memory(session, &report, &g_error));
  CHECK(report.state > 0 && report.arena >= report.arena_lower_bound && report.session > 0);
  REQUIRE_OK(attune_trainer_bytes(session, &set, &training, &trainer_needs, &g_error));
  attune_session_destroy(session);

  /* All of it in the caller's blocks. */
  REQUIRE_OK(attune_session_bytes(plan, &options, &needed, &g_error));
  CHECK(needed >= report.state + report.arena && needed < report.state + report.arena + 400000);
  attune_plan_destroy(plan);
  block = aligned_block(needed + trainer_needs + attune_plan_bytes() + 4096);
  memset(block, 0x77, needed);
  plan_options.memory = block + (needed + 63) / 64 * 64;
  plan_options.memory_bytes = attune_plan_bytes();
  options.memory = block;
  options.memory_bytes = needed;
  training.memory = (char*)plan_options.memory + (attune_plan_bytes() + 63) / 64 * 64;
  training.memory_bytes = trainer_needs;
  before = allocations();
  REQUIRE_OK(attune_plan_from_memory(bytes, file_bytes, &plan_options, &plan, &g_error));
  REQUIRE_OK(attune_session_create(plan, &options, &session, &g_error));
  same = train(session, &training, 20);
  CHECK(allocations() == before);
  CHECK(same == loss);
  /* Again, in the same memory. */
  REQUIRE_OK(attune_session_reset(session, &g_error));
  CHECK(train(session, &training, 20) == loss);
  CHECK(allocations() == before);
  training.memory_bytes -= 64;
  {
    attune_trainer* trainer = NULL;
    CHECK_FAILS(attune_trainer_create(session, &set, &training, &trainer, &g_error),
                ATTUNE_ERROR_MEMORY, "memory");
    CHECK(trainer == NULL);
    training.memory_bytes = 64;
    CHECK_FAILS(attune_trainer_create(session, &set, &training, &trainer, &g_error),
                ATTUNE_ERROR_MEMORY, "the trainer needs");
  }
  attune_session_destroy(session);

  /* Too little, by one byte, by much, by all; not aligned. */
  options.memory_bytes = needed - 1;
  CHECK_FAILS(attune_session_create(plan, &options, &session, &g_error), ATTUNE_ERROR_MEMORY,
              "attune_session_bytes");
  options.memory_bytes = needed / 2;
  CHECK_FAILS(attune_session_create(plan, &options, &session, &g_error), ATTUNE_ERROR_MEMORY,
              "needs");
  options.memory_bytes = 0;
  CHECK_FAILS(attune_session_create(plan, &options, &session, &g_error), ATTUNE_ERROR_MEMORY,
              "needs at least");
  options.memory_bytes = needed;
  options.memory = block + 8;
  CHECK_FAILS(attune_session_create(plan, &options, &session, &g_error), ATTUNE_ERROR_MEMORY,
              "the session: the memory is not aligned to 64");
  attune_plan_destroy(plan);

  /* The caller's allocator gives all of it, gets all of it back, and may refuse at any call. */
  training.memory = NULL;
  options.memory = NULL;
  options.memory_bytes = 0;
  options.allocator = plan_options.allocator = &allocator;
  plan_options.memory = NULL;
  before = allocations();
  REQUIRE_OK(attune_plan_from_memory(bytes, file_bytes, &plan_options, &plan, &g_error));
  REQUIRE_OK(attune_session_create(plan, &options, &session, &g_error));
  CHECK(counts.blocks > 0 && (size_t)counts.bytes >= report.state + report.arena);
  CHECK(train(session, &training, 20) == loss);
  calls = counts.calls;
  if (before >= 0) CHECK(allocations() - before == calls); /* the allocator's own */
  attune_session_destroy(session);
  CHECK(counts.blocks == 1); /* the plan */
  for (refused = 1; refused <= calls; ++refused) {
    attune_trainer* trainer = NULL;
    attune_status status;
    counts.calls = 0;
    counts.refuses_at = refused;
    session = NULL;
    status = attune_session_create(plan, &options, &session, &g_error);
    if (status == ATTUNE_OK) {
      status = attune_trainer_create(session, &set, &training, &trainer, &g_error);
      attune_trainer_destroy(trainer);
      attune_session_destroy(session);
    } else {
      CHECK(session == NULL);
    }
    CHECK(status == ATTUNE_OK || status == ATTUNE_ERROR_MEMORY);
    CHECK((status == ATTUNE_OK) == (counts.calls < refused));
    CHECK(counts.blocks == 1);
  }
  counts.refuses_at = 0;

  /* The same where from some call on there is none at all. */
  for (refused = 1; refused <= calls + 1; ++refused) {
    attune_device_report checked = {.size = sizeof(checked)};
    attune_trainer* trainer = NULL;
    attune_status status;
    size_t needed;
    counts.calls = 0;
    counts.refuses_from = refused;
    session = NULL;
    status = attune_session_create(plan, &options, &session, &g_error);
    if (status == ATTUNE_OK)
      status = attune_trainer_create(session, &set, &training, &trainer, &g_error);
    CHECK(status == (counts.calls < refused ? ATTUNE_OK : ATTUNE_ERROR_MEMORY));
    CHECK(g_error.status == status);
    if (status != ATTUNE_OK) CHECK(trainer == NULL);
    attune_trainer_destroy(trainer);
    attune_session_destroy(session);
    CHECK(counts.blocks == 1);
    if (refused > 1) continue;
    CHECK_FAILS(attune_session_bytes(plan, &options, &needed, &g_error), ATTUNE_ERROR_MEMORY,
                "out of memory");
    REQUIRE_OK(attune_session_check(plan, &options, NULL, &checked, &g_error));
    CHECK(!checked.fits && strstr(checked.reason, "out of memory") != NULL);
    CHECK_FAILS(attune_plan_from_memory(bytes, file_bytes, &plan_options, &other, &g_error),
                ATTUNE_ERROR_MEMORY, "cannot allocate");
  }
  counts.refuses_from = 0;

  /* And of the system's memory. */
  for (refused = 1;; ++refused) {
    attune_session_options plain = {.size = sizeof(plain)};
    attune_trainer* trainer = NULL;
    attune_status status;
    plain.backend = ATTUNE_BACKEND_REFERENCE;
    session = NULL;
    other = NULL;
    refuse_allocation(refused);
    status = attune_plan_load(path, NULL, &other, &g_error);
    if (status == ATTUNE_OK) status = attune_session_create(other, &plain, &session, &g_error);
    if (status == ATTUNE_OK)
      status = attune_trainer_create(session, &set, &training, &trainer, &g_error);
    if (refuse_allocation(0)) {
      CHECK(status == ATTUNE_OK);
    } else {
      CHECK(status == ATTUNE_ERROR_MEMORY && g_error.status == status);
      CHECK(trainer == NULL);
    }
    attune_trainer_destroy(trainer);
    attune_session_destroy(session);
    attune_plan_destroy(other);
    if (status == ATTUNE_OK) break;
  }
  if (before >= 0) CHECK(refused > 5);

  /* The caller's threads: the same numbers. */
  options.allocator = NULL;
  options.parallel_for = &parallel;
  parallel.context = &parallel_calls;
  parallel.run = run_tasks;
  REQUIRE_OK(attune_session_create(plan, &options, &session, &g_error));
  CHECK(train(session, &training, 20) == loss);
  CHECK(parallel_calls > 0);
  attune_session_destroy(session);
  attune_plan_destroy(plan);
  CHECK(counts.blocks == 0 && counts.bytes == 0);
  free(block);
  free(bytes);
}

void test_ports(const attune_plan* plan) {
  attune_port port = {.size = sizeof(port)}, same = {.size = sizeof(same)};
  attune_session_options options = {.size = sizeof(options)};
  attune_session* session = NULL;
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  int32_t i, batch, count, *labels;
  float first = 0;

  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  batch = attune_session_batch(session, ATTUNE_TRAIN_STEP);
  count = attune_session_port_count(session, ATTUNE_TRAIN_STEP);
  CHECK(batch == 8 && count >= 6);
  for (i = 0; i < count; ++i) {
    REQUIRE_OK(attune_session_port(session, ATTUNE_TRAIN_STEP, i, &port, &g_error));
    CHECK(port.name != NULL && port.data != NULL && port.bytes > 0);
    REQUIRE_OK(attune_session_port_by_name(session, ATTUNE_TRAIN_STEP, port.name, &same, &g_error));
    CHECK(memcmp(&port, &same, sizeof(port)) == 0);
  }
  CHECK_FAILS(attune_session_port(session, ATTUNE_TRAIN_STEP, count, &port, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "ports 0 ..");
  CHECK_FAILS(attune_session_port(session, ATTUNE_TRAIN_STEP, -1, &port, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "-1");
  CHECK_FAILS(attune_session_port_by_name(session, ATTUNE_TRAIN_STEP, "nothing", &port, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "'labels'");
  CHECK_FAILS(attune_session_port_by_role(session, ATTUNE_TRAIN_STEP, ATTUNE_ROLE_TARGET, 0, &port,
                                          &g_error),
              ATTUNE_ERROR_NOT_FOUND, "target");
  CHECK_FAILS(attune_session_port_by_role(session, ATTUNE_TRAIN_STEP, 11, 0, &port, &g_error),
              ATTUNE_ERROR_ARGUMENT, "role 11");
  CHECK_FAILS(attune_session_port_by_role(session, ATTUNE_TRAIN_STEP, 0, -1, &port, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "-1");
  CHECK_FAILS(attune_session_port(session, 4, 0, &port, &g_error), ATTUNE_ERROR_ARGUMENT,
              "program 4");
  CHECK_FAILS(attune_session_run(session, ATTUNE_ESTIMATE, &g_error), ATTUNE_ERROR_NOT_FOUND,
              "the plan has no program estimate");

  /* A step by hand. */
  REQUIRE_OK(attune_session_port_by_role(session, ATTUNE_TRAIN_STEP, ATTUNE_ROLE_INPUT, 0, &port,
                                         &g_error));
  CHECK(port.dtype == ATTUNE_F32 && port.shape[0] == batch);
  CHECK(port.bytes == (size_t)batch * numbers.features * sizeof(float));
  for (i = 0; i < batch; ++i)
    fill_example(&numbers, i, (float*)port.data + (size_t)i * numbers.features);
  REQUIRE_OK(attune_session_port_by_role(session, ATTUNE_TRAIN_STEP, ATTUNE_ROLE_WEIGHT, 0, &port,
                                         &g_error));
  for (i = 0; i < batch; ++i) ((float*)port.data)[i] = 1;
  REQUIRE_OK(
      attune_session_port_by_name(session, ATTUNE_TRAIN_STEP, "learning_rate", &port, &g_error));
  CHECK(port.role == ATTUNE_ROLE_RATE);
  *(float*)port.data = 0.01f;
  REQUIRE_OK(attune_session_port_by_name(session, ATTUNE_TRAIN_STEP, "labels", &port, &g_error));
  CHECK(port.role == ATTUNE_ROLE_LABEL && port.dtype == ATTUNE_I32 && port.limit == 10);
  labels = port.data;
  for (i = 0; i < batch; ++i) labels[i] = (int32_t)label_of(&numbers, i);
  labels[3] = 10;
  CHECK_FAILS(attune_session_run(session, ATTUNE_TRAIN_STEP, &g_error), ATTUNE_ERROR_DATA,
              "holds 10 for example 3");
  labels[3] = (int32_t)label_of(&numbers, 3);
  REQUIRE_OK(attune_session_run(session, ATTUNE_TRAIN_STEP, &g_error));
  REQUIRE_OK(attune_session_port_by_role(session, ATTUNE_TRAIN_STEP, ATTUNE_ROLE_LOSS, 0, &port,
                                         &g_error));
  first = *(float*)port.data;
  CHECK(isfinite(first) && first > 0);
  attune_session_destroy(session);

  options.programs = 1u << ATTUNE_PREDICT;
  REQUIRE_OK(attune_session_create(plan, &options, &session, &g_error));
  CHECK(attune_session_batch(session, ATTUNE_TRAIN_STEP) == 0);
  CHECK_FAILS(attune_session_run(session, ATTUNE_TRAIN_STEP, &g_error), ATTUNE_ERROR_NOT_FOUND,
              "the session has no program train_step");
  attune_session_destroy(session);
}

void test_predict(const attune_plan* plan) {
  enum { kCount = 21, kClasses = 10 };
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  const size_t one = numbers.features;
  float* examples = malloc(kCount * one * sizeof(float));
  float all[kCount * kClasses], alone[kClasses];
  attune_array input = {examples, kCount * one * sizeof(float)};
  attune_port port = {.size = sizeof(port)};
  attune_session* session = NULL;
  int i, c;

  for (i = 0; i < kCount; ++i) fill_example(&numbers, i, examples + (size_t)i * one);
  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  REQUIRE_OK(attune_session_predict(session, &input, 1, kCount, NULL, all, sizeof(all), &g_error));
  for (i = 0; i < kCount; ++i) {
    float sum = 0;
    attune_array each = {examples + (size_t)i * one, one * sizeof(float)};
    REQUIRE_OK(attune_session_predict(session, &each, 1, 1, "probabilities", alone, sizeof(alone),
                                      &g_error));
    CHECK(memcmp(alone, all + i * kClasses, sizeof(alone)) == 0);
    for (c = 0; c < kClasses; ++c) sum += alone[c];
    CHECK(fabs(sum - 1) < 1e-5);
  }
  /* The model's own output, of which these are the softmax. */
  REQUIRE_OK(
      attune_session_port_by_role(session, ATTUNE_PREDICT, ATTUNE_ROLE_OUTPUT, 0, &port, &g_error));
  {
    char name[64];
    float logits[kCount * kClasses];
    double sum = 0;
    strncpy(name, port.name, sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    REQUIRE_OK(
        attune_session_predict(session, &input, 1, kCount, name, logits, sizeof(logits), &g_error));
    for (c = 0; c < kClasses; ++c) sum += exp(logits[c]);
    for (c = 0; c < kClasses; ++c) CHECK(fabs(exp(logits[c]) / sum - all[c]) < 1e-5);
  }
  CHECK_FAILS(attune_session_predict(session, &input, 2, kCount, NULL, all, sizeof(all), &g_error),
              ATTUNE_ERROR_ARGUMENT, "has 1 inputs");
  CHECK_FAILS(attune_session_predict(session, &input, 1, 0, NULL, all, sizeof(all), &g_error),
              ATTUNE_ERROR_ARGUMENT, "at least one");
  CHECK_FAILS(
      attune_session_predict(session, &input, 1, kCount - 1, NULL, all, sizeof(all), &g_error),
      ATTUNE_ERROR_ARGUMENT, "1960 bytes");
  CHECK_FAILS(
      attune_session_predict(session, &input, 1, kCount, NULL, all, sizeof(all) - 4, &g_error),
      ATTUNE_ERROR_ARGUMENT, "40 bytes");
  CHECK_FAILS(
      attune_session_predict(session, &input, 1, kCount, "labels", all, sizeof(all), &g_error),
      ATTUNE_ERROR_NOT_FOUND, "'labels'");
  attune_session_destroy(session);
  free(examples);
}

static int32_t stop_later(void* context) { return --*(int*)context > 0; }
static int64_t counted_time(void* context) { return 1000 * *(long*)context; }
static double odd_weight(void* context, int64_t index) {
  (void)context;
  return index == 5 ? NAN : 1;
}
static double half_weight(void* context, int64_t index) {
  (void)context;
  return index < 20 ? 1 : 0;
}

void test_evaluate(const attune_plan* plan) {
  long now = 0;
  int asks = 8;
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  attune_dataset set = dataset_of(&numbers, 50), few = dataset_of(&numbers, 20);
  attune_evaluation all = {.size = sizeof(all)}, part = {.size = sizeof(part)};
  attune_control control = {.size = sizeof(control)};
  attune_clock clock = {.size = sizeof(clock), .context = &now};
  attune_session_options options = {.size = sizeof(options), .clock = &clock};
  attune_session* session = NULL;
  clock.microseconds = counted_time;
  numbers.clock = &now;

  REQUIRE_OK(attune_session_create(plan, &options, &session, &g_error));
  REQUIRE_OK(attune_session_evaluate(session, &set, NULL, &all, &g_error));
  CHECK(all.examples == 50 && isfinite(all.loss) && all.accuracy >= 0 && all.accuracy <= 1);
  /* Examples that weigh nothing are as if they were not there. */
  set.weight = half_weight;
  REQUIRE_OK(attune_session_evaluate(session, &set, NULL, &all, &g_error));
  REQUIRE_OK(attune_session_evaluate(session, &few, NULL, &part, &g_error));
  CHECK(fabs(all.loss - part.loss) < 1e-6 * part.loss && all.accuracy == part.accuracy);

  set.weight = odd_weight;
  CHECK_FAILS(attune_session_evaluate(session, &set, NULL, &all, &g_error), ATTUNE_ERROR_DATA,
              "take 5: the weight");
  set.weight = NULL;
  numbers.fails_at = 9;
  CHECK_FAILS(attune_session_evaluate(session, &set, NULL, &all, &g_error), ATTUNE_ERROR_DATA,
              "take 9: the data set's read returned 7");
  set.describe = NULL;
  CHECK_FAILS(attune_session_evaluate(session, &set, NULL, &all, &g_error), ATTUNE_ERROR_DATA,
              "example 9");
  numbers.fails_at = -1;
  numbers.mislabelled_at = 11;
  CHECK_FAILS(attune_session_evaluate(session, &set, NULL, &all, &g_error), ATTUNE_ERROR_DATA,
              "label 1000");
  numbers.mislabelled_at = -1;
  set.labelled = 0;
  CHECK(attune_session_evaluate(session, &set, NULL, &all, &g_error) != ATTUNE_OK &&
        strstr(g_error.message, "no labels") != NULL);
  set.labelled = 1;
  set.count = 0;
  CHECK_FAILS(attune_session_evaluate(session, &set, NULL, &all, &g_error), ATTUNE_ERROR_DATA,
              "0 examples");
  set.count = 50;
  spoil(session);
  CHECK_FAILS(attune_session_evaluate(session, &set, NULL, &all, &g_error), ATTUNE_ERROR_RUN,
              "not finite");
  REQUIRE_OK(attune_session_reset(session, &g_error));

  all.examples = -5;
  control.context = &asks;
  control.should_continue = stop_later;
  CHECK_FAILS(attune_session_evaluate(session, &set, &control, &all, &g_error),
              ATTUNE_ERROR_STOPPED, "should_continue");
  CHECK(all.examples == -5); /* untouched */
  control.should_continue = NULL;
  control.budget_ms = 20; /* of which each read takes one */
  CHECK_FAILS(attune_session_evaluate(session, &set, &control, &all, &g_error),
              ATTUNE_ERROR_STOPPED, "time budget");
  control.budget_ms = 1000;
  REQUIRE_OK(attune_session_evaluate(session, &set, &control, &all, &g_error));
  control.budget_ms = -1;
  CHECK_FAILS(attune_session_evaluate(session, &set, &control, &all, &g_error),
              ATTUNE_ERROR_ARGUMENT, "negative");
  CHECK_FAILS(attune_session_estimate_statistics(session, &set, 0, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "estimate");
  attune_session_destroy(session);
}

void test_device_check(const attune_plan* plan) {
  attune_device device = {.size = sizeof(device)};
  attune_device_report report = {.size = sizeof(report)};
  size_t needed = 0;
  REQUIRE_OK(attune_session_bytes(plan, NULL, &needed, &g_error));
  REQUIRE_OK(attune_session_check(plan, NULL, NULL, &report, &g_error));
  CHECK(report.fits == 1 && report.reason[0] == '\0' && report.lacking_operators == 0);
  CHECK(report.required_bytes == needed && report.plan_bytes > 0 && report.stack_bytes > 0);
  device.ram_bytes = 1000;
  REQUIRE_OK(attune_session_check(plan, NULL, &device, &report, &g_error));
  CHECK(report.fits == 0 && report.ram_available == 1000 && report.reason[0] != '\0');
  device.ram_bytes = 0;
  device.stack_bytes = 100;
  REQUIRE_OK(attune_session_check(plan, NULL, &device, &report, &g_error));
  CHECK(report.fits == 0 && strstr(report.reason, "stack") != NULL);
}
