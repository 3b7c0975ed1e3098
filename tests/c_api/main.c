/* The C API as a C99 program sees it.
   c_api_test PLAN PLAN_THAT_KEEPS_GRADIENTS PLAN_OF_ANOTHER_SCHEME FOLDER */
#include "tests/c_api/check.h"

int g_checks = 0, g_failed = 0;
attune_error g_error;

static attune_plan* load(const char* path) {
  attune_plan* plan = NULL;
  REQUIRE_OK(attune_plan_load(path, NULL, &plan, &g_error));
  return plan;
}

int main(int argc, char** argv) {
  attune_plan *plan, *keeps, *other;
  if (argc != 5) {
    fputs("c_api_test PLAN PLAN_THAT_KEEPS_GRADIENTS PLAN_OF_ANOTHER_SCHEME FOLDER\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  plan = load(argv[1]);
  keeps = load(argv[2]);
  other = load(argv[3]);
  test_versions();
  test_plans(argv[1]);
  test_structures(plan);
  test_nulls(plan);
  test_memory(argv[1]);
  test_ports(plan);
  test_predict(plan);
  test_evaluate(plan);
  test_parameters(plan);
  test_gradients(plan, keeps);
  test_device_check(plan);
  test_checkpoints(plan, other, argv[4]);
  test_training(plan);
  test_training_control(plan);
  test_training_harm(plan);
  test_training_checkpoints(plan, argv[4]);
  attune_plan_destroy(other);
  attune_plan_destroy(keeps);
  attune_plan_destroy(plan);
  printf("%d checks, %d failed\n", g_checks, g_failed);
  return g_failed == 0 ? 0 : 1;
}
