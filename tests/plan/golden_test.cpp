// Plans that earlier versions wrote still load and compute the same.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "graph/ir/error.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

// A file of tests/plan/golden, run once with the reference kernels on inputs that a formula gives.
struct GoldenRun {
  Plan plan;
  std::unique_ptr<Session> session;

  explicit GoldenRun(const char* file) {
    const std::string path = fmt::format(ATTUNE_SOURCE_DIR "/tests/plan/golden/{}", file);
    throw_if_error(Plan::load(path.c_str(), &plan));
    SessionOptions options;
    options.backend = BackendChoice::reference;
    throw_if_error(Session::create(plan, options, &session));
  }

  void fill(ProgramKind kind) {
    const Tensor x = session->port(kind, PortRole::input).tensor;
    for (int64_t i = 0; i < x.shape.elements(); ++i)
      x.as<float>()[i] = static_cast<float>(i * 7 % 31) - 15;
  }

  double train() {
    constexpr ProgramKind kTrain = ProgramKind::train_step;
    fill(kTrain);
    for (int i = 0; i < session->batch(kTrain); ++i) {
      session->input(kTrain, "labels").as<int32_t>()[i] = i;
      session->input(kTrain, "weights").as<float>()[i] = 1;
    }
    session->input(kTrain, "learning_rate").as<float>()[0] = 0.01f;
    throw_if_error(session->run(kTrain));
    return session->output(kTrain, "loss").as<float>()[0];
  }
};

}  // namespace

TEST_CASE("a plan of format 2.0 predicts and trains as it did when it was written") {
  GoldenRun run("kws-2.0.att");
  run.fill(ProgramKind::predict);
  throw_if_error(run.session->run(ProgramKind::predict));
  const Tensor logits = run.session->output(ProgramKind::predict, "logits");
  REQUIRE(logits.shape == Shape{1, 10});
  constexpr double kLogits[10] = {-12.939, -65.352, 12.954,  -48.81,  -172.01,
                                  -7.9542, 64.548,  -103.99, -5.9719, 27.077};
  for (int i = 0; i < 10; ++i)
    CHECK(logits.as<float>()[i] == doctest::Approx(kLogits[i]).epsilon(1e-4));
  CHECK(run.train() == doctest::Approx(59.063).epsilon(1e-4));
  CHECK(run.train() == doctest::Approx(9.7033).epsilon(1e-4));
  // What it said nothing of was without antialiasing.
  CHECK(run.plan.preprocess().image.interpolation == Interpolation::bilinear_aliased);
}

}  // namespace attune::test
