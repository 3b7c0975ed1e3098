/* Versions, plans, structures of older and newer headers, arguments that are missing. */
#include "tests/c_api/check.h"

void test_versions(void) {
  CHECK(attune_abi_version() == ATTUNE_ABI_VERSION);
  CHECK(strchr(attune_version(), '.') != NULL);
  CHECK(strstr(attune_build(), "plan format ") != NULL);
  CHECK(strstr(attune_build(), " reference") != NULL);
}

/* A plan that may be anyone's is refused, or safe. */
static void test_hostile(const char* bytes, size_t size) {
  char* copy = aligned_block(size);
  attune_plan* plan;
  size_t at;
  for (at = 0; at < size; at = at * 2 + 1) {
    plan = NULL;
    memcpy(copy, bytes, size);
    CHECK_FAILS(attune_plan_from_memory(copy, at, NULL, &plan, &g_error), ATTUNE_ERROR_PLAN,
                "plan");
    if ((at >= 12 && at < 16) || (at >= 80 && at < 128)) continue; /* the minor version, reserved */
    copy[at] = (char)(copy[at] ^ 0x5a);
    CHECK_FAILS(attune_plan_from_memory(copy, size, NULL, &plan, &g_error), ATTUNE_ERROR_PLAN,
                "plan");
    CHECK(plan == NULL);
  }
  memcpy(copy + 1, bytes, size);
  CHECK_FAILS(attune_plan_from_memory(copy + 1, size, NULL, &plan, &g_error), ATTUNE_ERROR_PLAN,
              "aligned");
  free(copy);
}

void test_plans(const char* path) {
  attune_plan_options options = {.size = sizeof(options)};
  attune_plan_info info = {.size = sizeof(info)};
  attune_preprocess preprocess = {.size = sizeof(preprocess)};
  attune_plan* plan = NULL;
  size_t size = 0;
  void* bytes = read_file(path, &size);
  void* memory = aligned_block(attune_plan_bytes());
  CHECK(bytes != NULL && memory != NULL);

  CHECK_FAILS(attune_plan_load("/nowhere/x.att", NULL, &plan, &g_error), ATTUNE_ERROR_PLAN,
              "/nowhere/x.att");
  CHECK_FAILS(attune_plan_load("/", NULL, &plan, &g_error), ATTUNE_ERROR_PLAN, "/");
  CHECK(plan == NULL);
  test_hostile(bytes, size);

  options.name = "from flash";
  options.memory = memory;
  options.memory_bytes = attune_plan_bytes();
  REQUIRE_OK(attune_plan_from_memory(bytes, size, &options, &plan, &g_error));
  CHECK((void*)plan == memory);
  REQUIRE_OK(attune_plan_describe(plan, &info, &g_error));
  CHECK(strcmp(info.name, "from flash") == 0);
  CHECK(strcmp(info.model_name, "kws.onnx") == 0);
  CHECK(strcmp(info.loss, "cross_entropy") == 0);
  CHECK(strncmp(info.optimizer, "momentum", 8) == 0);
  CHECK(strncmp(info.producer, "attune", 6) == 0);
  CHECK(info.classes == 10 && info.labels == 0 && info.parameters > 0);
  CHECK(info.real == ATTUNE_F32 && info.keeps_gradients == 0);
  CHECK(info.programs == (1 << ATTUNE_TRAIN_STEP | 1 << ATTUNE_EVALUATE | 1 << ATTUNE_PREDICT));
  CHECK(info.state_bytes > 0 && info.arena_bytes > 0 && info.constants_bytes > 0);
  CHECK(strcmp(attune_plan_class(plan, 0), "down") == 0);
  CHECK(attune_plan_class(plan, 10) == NULL && attune_plan_class(plan, -1) == NULL);
  CHECK(attune_plan_label(plan, 0) == NULL);
  REQUIRE_OK(attune_plan_preprocess(plan, &preprocess, &g_error));
  CHECK(preprocess.front_end == ATTUNE_FRONT_END_MFCC && preprocess.sample_rate == 16000);
  CHECK(preprocess.frame_length == 480 && preprocess.mel_bands == 40 &&
        preprocess.coefficients == 10);
  attune_plan_destroy(plan);

  options.memory_bytes -= 1;
  CHECK_FAILS(attune_plan_from_memory(bytes, size, &options, &plan, &g_error), ATTUNE_ERROR_MEMORY,
              "needs");
  attune_plan_destroy(NULL);
  free(memory);
  free(bytes);
}

/* A structure of an older header is shorter, one of a newer header longer. */
void test_structures(const attune_plan* plan) {
  struct {
    attune_session_options known;
    char unknown[16];
  } newer;
  struct {
    size_t size;
    const char* name;
    uint64_t beyond;
  } older = {.size = offsetof(attune_plan_info, producer), .beyond = 77};
  struct {
    attune_plan_info known;
    uint64_t unknown;
  } longer;
  attune_plan_info* info = (attune_plan_info*)(void*)&older;
  attune_session* session = NULL;
  size_t i;

  memset(&newer, 0, sizeof(newer));
  newer.known.size = sizeof(newer);
  REQUIRE_OK(attune_session_create(plan, &newer.known, &session, &g_error));
  attune_session_destroy(session);
  for (i = 0; i < sizeof(newer.unknown); ++i) {
    newer.unknown[i] = 1;
    CHECK_FAILS(attune_session_create(plan, &newer.known, &session, &g_error),
                ATTUNE_ERROR_ARGUMENT, "newer header");
    newer.unknown[i] = 0;
  }
  /* What an older one does not have is 0, whatever lies behind it. */
  newer.known.size = offsetof(attune_session_options, programs);
  newer.known.programs = 0xffffffffu;
  newer.known.reserved = 5;
  REQUIRE_OK(attune_session_create(plan, &newer.known, &session, &g_error));
  attune_session_destroy(session);
  newer.known.size = sizeof(newer.known);
  CHECK_FAILS(attune_session_create(plan, &newer.known, &session, &g_error), ATTUNE_ERROR_ARGUMENT,
              "programs");
  newer.known.size = 0;
  CHECK_FAILS(attune_session_create(plan, &newer.known, &session, &g_error), ATTUNE_ERROR_ARGUMENT,
              "sizeof(attune_session_options)");
  newer.known.size = (size_t)-1;
  CHECK_FAILS(attune_session_create(plan, &newer.known, &session, &g_error), ATTUNE_ERROR_ARGUMENT,
              "sizeof(attune_session_options)");

  REQUIRE_OK(attune_plan_describe(plan, info, &g_error));
  CHECK(older.size == offsetof(attune_plan_info, producer) && older.name != NULL);
  CHECK(older.beyond == 77);
  memset(&longer, 0xff, sizeof(longer));
  longer.known.size = sizeof(longer);
  REQUIRE_OK(attune_plan_describe(plan, &longer.known, &g_error));
  CHECK(longer.known.classes == 10 && longer.unknown == 0);
  longer.known.size = 3;
  CHECK_FAILS(attune_plan_describe(plan, &longer.known, &g_error), ATTUNE_ERROR_ARGUMENT, "size");
}

#define CHECK_NULL(call) CHECK_FAILS(call, ATTUNE_ERROR_ARGUMENT, "is NULL")

void test_nulls(const attune_plan* plan) {
  data numbers = {.features = 490, .classes = 10, .scale = 1, .fails_at = -1, .mislabelled_at = -1};
  attune_dataset set = dataset_of(&numbers, 8), no_read = set;
  attune_session_options options = {.size = sizeof(options)};
  attune_allocator allocator = {.size = sizeof(allocator)};
  attune_parallel_for parallel = {.size = sizeof(parallel), .threads = 1};
  attune_clock clock = {.size = sizeof(clock)};
  attune_source source = {.size = sizeof(source)};
  attune_sink sink = {.size = sizeof(sink)};
  attune_plan_info info = {.size = sizeof(info)};
  attune_preprocess preprocess = {.size = sizeof(preprocess)};
  attune_memory memory = {.size = sizeof(memory)};
  attune_device_report report = {.size = sizeof(report)};
  attune_port port = {.size = sizeof(port)};
  attune_parameter parameter = {.size = sizeof(parameter)};
  attune_evaluation evaluation = {.size = sizeof(evaluation)};
  attune_checkpoint_info checkpoint = {.size = sizeof(checkpoint)};
  attune_progress progress = {.size = sizeof(progress)};
  attune_array array = {0};
  attune_plan* other = NULL;
  attune_session *session = NULL, *more = NULL;
  attune_trainer *trainer = NULL, *second = NULL;
  size_t bytes = 0;
  double rate = 0;
  char room[8];

  CHECK_NULL(attune_plan_load(NULL, NULL, &other, &g_error));
  CHECK_NULL(attune_plan_load("x", NULL, NULL, &g_error));
  CHECK_NULL(attune_plan_from_memory(NULL, 8, NULL, &other, &g_error));
  CHECK_NULL(attune_plan_from_memory(room, 8, NULL, NULL, &g_error));
  CHECK_NULL(attune_plan_describe(NULL, &info, &g_error));
  CHECK_NULL(attune_plan_describe(plan, NULL, &g_error));
  CHECK_NULL(attune_plan_preprocess(NULL, &preprocess, &g_error));
  CHECK_NULL(attune_plan_preprocess(plan, NULL, &g_error));
  CHECK_NULL(attune_plan_examine(NULL, "x", &checkpoint, &g_error));
  CHECK_NULL(attune_plan_examine(plan, NULL, &checkpoint, &g_error));
  CHECK_NULL(attune_plan_examine(plan, "x", NULL, &g_error));
  CHECK_NULL(attune_plan_examine_source(NULL, &source, &checkpoint, &g_error));
  CHECK_NULL(attune_plan_examine_source(plan, NULL, &checkpoint, &g_error));
  CHECK_NULL(attune_plan_examine_source(plan, &source, NULL, &g_error));
  CHECK_NULL(attune_plan_examine_source(plan, &source, &checkpoint, &g_error)); /* its read */
  CHECK_NULL(attune_plan_check(NULL, 8, NULL, NULL, NULL, &report, &g_error));
  CHECK_NULL(attune_plan_check(room, 8, NULL, NULL, NULL, NULL, &g_error));
  CHECK(attune_plan_class(NULL, 0) == NULL && attune_plan_label(NULL, 0) == NULL);

  CHECK_NULL(attune_session_bytes(NULL, NULL, &bytes, &g_error));
  CHECK_NULL(attune_session_bytes(plan, NULL, NULL, &g_error));
  CHECK_NULL(attune_session_check(NULL, NULL, NULL, &report, &g_error));
  CHECK_NULL(attune_session_check(plan, NULL, NULL, NULL, &g_error));
  CHECK_NULL(attune_session_create(NULL, NULL, &session, &g_error));
  CHECK_NULL(attune_session_create(plan, NULL, NULL, &g_error));
  options.allocator = &allocator;
  CHECK_NULL(attune_session_create(plan, &options, &session, &g_error));
  options.allocator = NULL, options.parallel_for = &parallel;
  CHECK_NULL(attune_session_create(plan, &options, &session, &g_error));
  options.parallel_for = NULL, options.clock = &clock;
  CHECK_NULL(attune_session_create(plan, &options, &session, &g_error));
  options.clock = NULL, options.backend = 9;
  CHECK_FAILS(attune_session_create(plan, &options, &session, &g_error), ATTUNE_ERROR_ARGUMENT,
              "backend 9");
  options.backend = 0, options.threads = -1;
  CHECK_FAILS(attune_session_create(plan, &options, &session, &g_error), ATTUNE_ERROR_ARGUMENT,
              "threads");
  CHECK(session == NULL);
  /* Without an error to write to, all is the same. */
  CHECK(attune_session_create(NULL, NULL, &session, NULL) == ATTUNE_ERROR_ARGUMENT);
  REQUIRE_OK(attune_session_create(plan, NULL, &session, &g_error));

  CHECK_NULL(attune_session_memory(NULL, &memory, &g_error));
  CHECK_NULL(attune_session_memory(session, NULL, &g_error));
  CHECK(attune_session_batch(NULL, ATTUNE_PREDICT) == 0);
  CHECK(attune_session_batch(session, 99) == 0 && attune_session_batch(session, -1) == 0);
  CHECK(attune_session_port_count(NULL, ATTUNE_PREDICT) == 0);
  CHECK(attune_session_port_count(session, 4) == 0);
  CHECK_NULL(attune_session_port(NULL, 0, 0, &port, &g_error));
  CHECK_NULL(attune_session_port(session, 0, 0, NULL, &g_error));
  CHECK_NULL(attune_session_port_by_name(NULL, 0, "x", &port, &g_error));
  CHECK_NULL(attune_session_port_by_name(session, 0, NULL, &port, &g_error));
  CHECK_NULL(attune_session_port_by_name(session, 0, "x", NULL, &g_error));
  CHECK_NULL(attune_session_port_by_role(NULL, 0, 0, 0, &port, &g_error));
  CHECK_NULL(attune_session_port_by_role(session, 0, 0, 0, NULL, &g_error));
  CHECK_NULL(attune_session_run(NULL, 0, &g_error));
  CHECK_NULL(attune_session_evaluate(NULL, &set, NULL, &evaluation, &g_error));
  CHECK_NULL(attune_session_evaluate(session, NULL, NULL, &evaluation, &g_error));
  CHECK_NULL(attune_session_evaluate(session, &set, NULL, NULL, &g_error));
  no_read.read = NULL;
  CHECK_NULL(attune_session_evaluate(session, &no_read, NULL, &evaluation, &g_error));
  CHECK_NULL(attune_session_predict(NULL, &array, 1, 1, NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_predict(session, NULL, 1, 1, NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_predict(session, &array, 1, 1, NULL, NULL, 8, &g_error));
  CHECK_NULL(attune_session_estimate_statistics(NULL, &set, 0, &g_error));
  CHECK_NULL(attune_session_estimate_statistics(session, NULL, 0, &g_error));
  CHECK_NULL(attune_session_parameter(NULL, 0, &parameter, &g_error));
  CHECK_NULL(attune_session_parameter(session, 0, NULL, &g_error));
  CHECK_NULL(attune_session_parameter_by_name(NULL, "x", &parameter, &g_error));
  CHECK_NULL(attune_session_parameter_by_name(session, NULL, &parameter, &g_error));
  CHECK_NULL(attune_session_parameter_by_name(session, "x", NULL, &g_error));
  CHECK(attune_session_optimizer_slot(NULL, "x", 0) == NULL);
  CHECK(attune_session_optimizer_slot(session, NULL, 0) == NULL);
  CHECK_NULL(attune_session_get_parameter(NULL, "x", NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_get_parameter(session, NULL, NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_get_parameter(session, "x", NULL, NULL, 8, &g_error));
  CHECK_NULL(attune_session_set_parameter(NULL, "x", NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_set_parameter(session, NULL, NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_set_parameter(session, "x", NULL, NULL, 8, &g_error));
  CHECK_NULL(attune_session_get_gradient(NULL, "x", room, 8, &g_error));
  CHECK_NULL(attune_session_get_gradient(session, NULL, room, 8, &g_error));
  CHECK_NULL(attune_session_get_gradient(session, "x", NULL, 8, &g_error));
  CHECK_NULL(attune_session_reset(NULL, &g_error));
  CHECK_NULL(attune_session_save(NULL, "x", &g_error));
  CHECK_NULL(attune_session_save(session, NULL, &g_error));
  CHECK_NULL(attune_session_write(NULL, &sink, &g_error));
  CHECK_NULL(attune_session_write(session, NULL, &g_error));
  CHECK_NULL(attune_session_write(session, &sink, &g_error)); /* its write */
  CHECK_NULL(attune_session_load(NULL, "x", NULL, &g_error));
  CHECK_NULL(attune_session_load(session, NULL, NULL, &g_error));
  CHECK_NULL(attune_session_read(NULL, &source, NULL, &g_error));
  CHECK_NULL(attune_session_read(session, NULL, NULL, &g_error));
  CHECK_NULL(attune_session_start_from(NULL, "x", NULL, &g_error));
  CHECK_NULL(attune_session_start_from(session, NULL, NULL, &g_error));
  CHECK_NULL(attune_session_start_from_source(NULL, &source, NULL, &g_error));
  CHECK_NULL(attune_session_start_from_source(session, NULL, NULL, &g_error));

  CHECK_NULL(attune_trainer_bytes(NULL, &set, NULL, &bytes, &g_error));
  CHECK_NULL(attune_trainer_bytes(session, NULL, NULL, &bytes, &g_error));
  CHECK_NULL(attune_trainer_bytes(session, &set, NULL, NULL, &g_error));
  CHECK_NULL(attune_trainer_create(NULL, &set, NULL, &trainer, &g_error));
  CHECK_NULL(attune_trainer_create(session, NULL, NULL, &trainer, &g_error));
  CHECK_NULL(attune_trainer_create(session, &set, NULL, NULL, &g_error));
  CHECK_NULL(attune_trainer_resume(session, &set, NULL, NULL, &trainer, &g_error));
  CHECK_NULL(attune_trainer_resume_source(session, &set, NULL, NULL, &trainer, &g_error));
  CHECK(trainer == NULL);
  REQUIRE_OK(attune_trainer_create(session, &set, NULL, &trainer, &g_error));
  CHECK_FAILS(attune_trainer_create(session, &set, NULL, &second, &g_error), ATTUNE_ERROR_ARGUMENT,
              "a trainer already");
  CHECK_NULL(attune_trainer_run(NULL, NULL, NULL, &g_error));
  CHECK_NULL(attune_trainer_step(NULL, NULL, &g_error));
  CHECK_NULL(attune_trainer_finish(NULL, NULL, &g_error));
  CHECK_NULL(attune_trainer_progress(NULL, &progress, &g_error));
  CHECK_NULL(attune_trainer_progress(trainer, NULL, &g_error));
  CHECK_NULL(attune_trainer_learning_rate(NULL, &rate, &g_error));
  CHECK_NULL(attune_trainer_learning_rate(trainer, NULL, &g_error));
  CHECK_NULL(attune_trainer_set_learning_rate(NULL, 1, &g_error));
  CHECK_NULL(attune_trainer_save(NULL, "x", &g_error));
  CHECK_NULL(attune_trainer_save(trainer, NULL, &g_error));
  CHECK_NULL(attune_trainer_write(NULL, &sink, &g_error));
  CHECK_NULL(attune_trainer_write(trainer, NULL, &g_error));
  attune_trainer_destroy(trainer);
  attune_trainer_destroy(NULL);
  attune_session_destroy(session);
  attune_session_destroy(NULL);
  CHECK(more == NULL && second == NULL);
}
