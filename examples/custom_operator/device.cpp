// A program on the device: it registers the operator, loads the plan and learns a wave.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>

#include "attune/plan.h"
#include "attune/session.h"
#include "attune/trainer.h"
#include "snake.h"

namespace {

using attune::Status;

// sin(3 x) for x in -2 .. 2.
class Wave : public attune::Dataset {
 public:
  int64_t size() const override { return 256; }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const float x = static_cast<float>(index) / 64 - 2;
    const float value = field == attune::kTargetField ? std::sin(3 * x) : x;
    if (bytes.size() != sizeof(value)) return Status::error("the plan is of another model");
    std::memcpy(bytes.data(), &value, sizeof(value));
    return Status::ok();
  }
  std::string_view describe(int64_t) override { return "a place on the wave"; }
};

Status run(const char* path, bool registers, double* before, double* after) {
  if (registers) ATTUNE_RETURN_IF_ERROR(register_snake());
  attune::Plan plan;
  ATTUNE_RETURN_IF_ERROR(attune::Plan::load(path, &plan));
  std::unique_ptr<attune::Session> session;
  ATTUNE_RETURN_IF_ERROR(attune::Session::create(plan, {}, &session));
  Wave wave;
  attune::Evaluation evaluation;
  ATTUNE_RETURN_IF_ERROR(evaluate(*session, wave, &evaluation));
  *before = evaluation.loss;
  std::unique_ptr<attune::Trainer> trainer;
  ATTUNE_RETURN_IF_ERROR(attune::Trainer::create(
      *session, wave, {.epochs = 100, .schedule = {.base = 0.01}}, &trainer));
  while (!trainer->done()) ATTUNE_RETURN_IF_ERROR(trainer->step());
  ATTUNE_RETURN_IF_ERROR(evaluate(*session, wave, &evaluation));
  *after = evaluation.loss;
  return Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  const bool registers = argc < 3 || std::strcmp(argv[2], "--unregistered") != 0;
  double before = 0, after = 0;
  const Status status =
      argc < 2 ? Status::error("give a plan") : run(argv[1], registers, &before, &after);
  if (!status) {
    std::fprintf(stderr, "snake_device: %s\n", status.message());
    return 2;
  }
  std::printf("mean squared error %.4f before, %.4f after\n", before, after);
  return after < 0.1 * before ? 0 : 1;
}
