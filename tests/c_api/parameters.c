/* Parameters and gradients by the model's names; checkpoints of sessions. */
#include <math.h>

#include "tests/c_api/check.h"

static data learnable(void) {
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  return numbers;
}

/* A parameter of which all is trained, and its values. */
static attune_parameter whole_parameter(const attune_session* session, float** values) {
  attune_parameter p = {.size = sizeof(p)};
  int32_t i = 0;
  do REQUIRE_OK(attune_session_parameter(session, i++, &p, &g_error));
  while (p.trained != p.elements);
  *values = malloc(p.bytes);
  REQUIRE_OK(attune_session_get_parameter(session, p.name, NULL, *values, p.bytes, &g_error));
  return p;
}

static void step(attune_session* session, double rate) {
  data numbers = learnable();
  const attune_dataset set = dataset_of(&numbers, 8);
  attune_trainer_options options = {
      .size = sizeof(options), .steps = 1, .learning_rate = rate, .in_order = 1};
  attune_trainer* trainer = NULL;
  REQUIRE_OK(attune_trainer_create(session, &set, &options, &trainer, &g_error));
  REQUIRE_OK(attune_trainer_step(trainer, NULL, &g_error));
  attune_trainer_destroy(trainer);
}

void test_parameters(const attune_plan* plan) {
  attune_plan_info info = {.size = sizeof(info)};
  attune_parameter p = {.size = sizeof(p)}, same = {.size = sizeof(same)};
  attune_session* session = NULL;
  float *values, *others;
  int32_t i;
  size_t at;

  REQUIRE_OK(attune_plan_describe(plan, &info, &g_error));
  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  for (i = 0; i < info.parameters; ++i) {
    int64_t elements = 1;
    int32_t axis;
    REQUIRE_OK(attune_session_parameter(session, i, &p, &g_error));
    REQUIRE_OK(attune_session_parameter_by_name(session, p.name, &same, &g_error));
    CHECK(memcmp(&p, &same, sizeof(p)) == 0);
    for (axis = 0; axis < p.rank; ++axis) elements *= p.shape[axis];
    CHECK(elements == p.elements && p.bytes == (size_t)elements * sizeof(float));
    CHECK(p.trained > 0 && p.trained <= p.elements && p.dtype == ATTUNE_F32);
    CHECK(p.slots == 1);
    CHECK(strcmp(attune_session_optimizer_slot(session, p.name, 0), "velocity") == 0);
    CHECK(attune_session_optimizer_slot(session, p.name, 1) == NULL);
    CHECK(attune_session_optimizer_slot(session, p.name, -1) == NULL);
  }
  CHECK_FAILS(attune_session_parameter(session, info.parameters, &p, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "parameters");
  CHECK_FAILS(attune_session_parameter_by_name(session, "no such", &p, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "no such");

  p = whole_parameter(session, &values);
  others = malloc(p.bytes);
  for (at = 0; at < p.bytes / sizeof(float); ++at) others[at] = values[at] + 1;
  REQUIRE_OK(attune_session_set_parameter(session, p.name, NULL, others, p.bytes, &g_error));
  memset(values, 0, p.bytes);
  REQUIRE_OK(attune_session_get_parameter(session, p.name, "value", values, p.bytes, &g_error));
  CHECK(memcmp(values, others, p.bytes) == 0);
  others[0] = NAN;
  CHECK_FAILS(attune_session_set_parameter(session, p.name, NULL, others, p.bytes, &g_error),
              ATTUNE_ERROR_ARGUMENT, p.name);
  CHECK_FAILS(attune_session_set_parameter(session, p.name, NULL, others, p.bytes - 1, &g_error),
              ATTUNE_ERROR_ARGUMENT, "bytes");
  CHECK_FAILS(attune_session_get_parameter(session, p.name, NULL, others, p.bytes + 4, &g_error),
              ATTUNE_ERROR_ARGUMENT, "bytes");
  CHECK_FAILS(attune_session_get_parameter(session, p.name, "m", others, p.bytes, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "'m'");
  CHECK_FAILS(attune_session_set_parameter(session, "no such", NULL, others, p.bytes, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "no such");
  REQUIRE_OK(attune_session_reset(session, &g_error));
  REQUIRE_OK(attune_session_get_parameter(session, p.name, NULL, others, p.bytes, &g_error));
  for (at = 0; at < p.bytes / sizeof(float); ++at) CHECK(values[at] == others[at] + 1);
  REQUIRE_OK(attune_session_get_parameter(session, p.name, "velocity", others, p.bytes, &g_error));
  for (at = 0; at < p.bytes / sizeof(float); ++at) CHECK(others[at] == 0);
  free(values);
  free(others);
  attune_session_destroy(session);
}

void test_gradients(const attune_plan* plan, const attune_plan* keeps) {
  attune_plan_info info = {.size = sizeof(info)};
  attune_parameter p;
  attune_memory memory = {.size = sizeof(memory)};
  attune_session* session = NULL;
  float *before, *after, *gradient, *velocity;
  double size = 0;
  size_t at;

  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  p = whole_parameter(session, &before);
  step(session, 0.01);
  CHECK_FAILS(attune_session_get_gradient(session, p.name, before, p.bytes, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "--keep-gradients");
  CHECK_FAILS(attune_session_get_gradient(session, "no such", before, p.bytes, &g_error),
              ATTUNE_ERROR_NOT_FOUND, "no such");
  attune_session_destroy(session);
  free(before);

  REQUIRE_OK(attune_plan_describe(keeps, &info, &g_error));
  CHECK(info.keeps_gradients == 1);
  REQUIRE_OK(attune_session_create(keeps, NULL, &session, &g_error));
  REQUIRE_OK(attune_session_memory(session, &memory, &g_error));
  CHECK(memory.kept_gradients > 0);
  p = whole_parameter(session, &before);
  CHECK(p.has_gradient == 1);
  gradient = malloc(p.bytes);
  velocity = malloc(p.bytes);
  after = malloc(p.bytes);
  CHECK_FAILS(attune_session_get_gradient(session, p.name, gradient, p.bytes, &g_error),
              ATTUNE_ERROR_ARGUMENT, p.name);
  step(session, 0.25);
  REQUIRE_OK(attune_session_get_gradient(session, p.name, gradient, p.bytes, &g_error));
  REQUIRE_OK(attune_session_get_parameter(session, p.name, NULL, after, p.bytes, &g_error));
  REQUIRE_OK(
      attune_session_get_parameter(session, p.name, "velocity", velocity, p.bytes, &g_error));
  /* The first step of momentum goes along the gradient. */
  for (at = 0; at < p.bytes / sizeof(float); ++at) {
    size += fabs(gradient[at]);
    CHECK(velocity[at] == gradient[at]);
    CHECK(fabs(before[at] - 0.25f * gradient[at] - after[at]) <= 1e-6 * (1 + fabs(after[at])));
  }
  CHECK(size > 0);
  free(after);
  free(velocity);
  free(gradient);
  free(before);
  attune_session_destroy(session);
}

/* A checkpoint in memory, that fails at a call. */
typedef struct vault {
  char* bytes;
  size_t size, announced;
  long calls, fails_at;
} vault;

static int32_t vault_begin(void* context, uint64_t bytes) {
  vault* of = context;
  of->announced = (size_t)bytes;
  of->size = 0;
  free(of->bytes);
  of->bytes = malloc((size_t)bytes);
  return 0;
}

static int32_t vault_write(void* context, const void* bytes, size_t count) {
  vault* of = context;
  if (++of->calls == of->fails_at) return 5;
  if (of->size + count > of->announced) return 6;
  memcpy(of->bytes + of->size, bytes, count);
  of->size += count;
  return 0;
}

static int32_t vault_read(void* context, uint64_t offset, void* bytes, size_t count) {
  vault* of = context;
  if (++of->calls == of->fails_at) return 5;
  CHECK(offset + count <= of->size);
  memcpy(bytes, of->bytes + offset, count);
  return 0;
}

void test_checkpoints(const attune_plan* plan, const attune_plan* other, const char* folder) {
  vault kept = {0};
  attune_sink sink = {.size = sizeof(sink), .context = &kept, .name = "vault"};
  attune_source source = {.size = sizeof(source), .context = &kept, .name = "vault"};
  attune_checkpoint_info info = {.size = sizeof(info)};
  attune_session *session = NULL, *fresh = NULL, *foreign = NULL;
  attune_parameter p;
  char path[512], elsewhere[512];
  float *trained, *read;
  char* whole;
  size_t bytes = 0;
  long i, calls;

  sprintf(path, "%.400s/session.atc", folder);
  sprintf(elsewhere, "%.400s/no/such/folder.atc", folder);
  sink.begin = vault_begin;
  sink.write = vault_write;
  source.read = vault_read;
  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));
  REQUIRE_OK(attune_session_create(plan, NULL, &fresh, &g_error));
  REQUIRE_OK(attune_session_create(other, NULL, &foreign, &g_error));
  step(session, 0.1);
  p = whole_parameter(session, &trained);
  read = malloc(p.bytes);

  CHECK_FAILS(attune_session_save(session, elsewhere, &g_error), ATTUNE_ERROR_CHECKPOINT,
              elsewhere);
  CHECK_FAILS(attune_session_load(fresh, path, NULL, &g_error), ATTUNE_ERROR_CHECKPOINT, path);
  REQUIRE_OK(attune_session_save(session, path, &g_error));
  REQUIRE_OK(attune_session_load(fresh, path, &info, &g_error));
  CHECK(info.fits == 1 && info.same_model == 1 && info.optimizer_state == 1);
  REQUIRE_OK(attune_session_get_parameter(fresh, p.name, NULL, read, p.bytes, &g_error));
  CHECK(memcmp(read, trained, p.bytes) == 0);
  REQUIRE_OK(attune_plan_examine(plan, path, &info, &g_error));
  CHECK(info.fits == 1 && info.same_model == 1);
  REQUIRE_OK(attune_plan_examine(other, path, &info, &g_error));
  CHECK(info.fits == 0 && info.same_model == 1);
  CHECK_FAILS(attune_session_load(foreign, path, NULL, &g_error), ATTUNE_ERROR_CHECKPOINT, path);
  CHECK_FAILS(attune_session_save(foreign, path, &g_error), ATTUNE_ERROR_CHECKPOINT, "left alone");

  /* Through callbacks: the bytes of the file. */
  REQUIRE_OK(attune_session_write(session, &sink, &g_error));
  whole = read_file(path, &bytes);
  CHECK(whole != NULL && bytes == kept.size && kept.announced == kept.size);
  CHECK(memcmp(whole, kept.bytes, bytes) == 0);
  source.bytes = kept.size;
  REQUIRE_OK(attune_session_reset(fresh, &g_error));
  kept.calls = 0;
  REQUIRE_OK(attune_session_read(fresh, &source, &info, &g_error));
  calls = kept.calls;
  REQUIRE_OK(attune_session_get_parameter(fresh, p.name, NULL, read, p.bytes, &g_error));
  CHECK(memcmp(read, trained, p.bytes) == 0);
  REQUIRE_OK(attune_plan_examine_source(plan, &source, &info, &g_error));
  CHECK(info.fits == 1);
  REQUIRE_OK(attune_session_start_from_source(fresh, &source, &info, &g_error));
  CHECK(info.parameters > 0 && info.optimizer_state == 1);
  REQUIRE_OK(attune_session_start_from(fresh, path, &info, &g_error));

  /* A reader that fails at any call, and a damaged or shorter one, change nothing. (From the last
     pass on, everything was checked before; what was read then changes under the reader's hands.)
   */
  REQUIRE_OK(attune_session_reset(fresh, &g_error));
  REQUIRE_OK(attune_session_get_parameter(fresh, p.name, NULL, trained, p.bytes, &g_error));
  for (i = 1; i <= calls; ++i) {
    kept.calls = 0;
    kept.fails_at = i;
    CHECK_FAILS(attune_session_read(fresh, &source, NULL, &g_error), ATTUNE_ERROR_CHECKPOINT,
                "vault");
    REQUIRE_OK(attune_session_reset(fresh, &g_error));
  }
  kept.fails_at = 0;
  for (i = 0; i < (long)bytes; i += 37) {
    kept.bytes[i] = (char)(kept.bytes[i] ^ 4);
    CHECK_FAILS(attune_session_read(fresh, &source, NULL, &g_error), ATTUNE_ERROR_CHECKPOINT,
                "vault");
    kept.bytes[i] = (char)(kept.bytes[i] ^ 4);
    source.bytes = (uint64_t)i;
    CHECK_FAILS(attune_session_read(fresh, &source, NULL, &g_error), ATTUNE_ERROR_CHECKPOINT,
                "vault");
    source.bytes = bytes;
  }
  REQUIRE_OK(attune_session_get_parameter(fresh, p.name, NULL, read, p.bytes, &g_error));
  CHECK(memcmp(read, trained, p.bytes) == 0);
  for (i = 1; i <= 3; ++i) {
    kept.calls = 0;
    kept.fails_at = i;
    CHECK_FAILS(attune_session_write(session, &sink, &g_error), ATTUNE_ERROR_CHECKPOINT,
                "its writer failed");
  }
  free(whole);
  free(kept.bytes);
  free(read);
  free(trained);
  attune_session_destroy(foreign);
  attune_session_destroy(fresh);
  attune_session_destroy(session);
}
