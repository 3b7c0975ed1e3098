#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/plan/support.h"

namespace attune::test {
namespace {

CompileOptions options_of(int micro, OptimizerKind optimizer = OptimizerKind::momentum) {
  return options_with("full", [&](CompileOptions& o) {
    o.batch = 6;
    o.micro_batch = micro;
    o.real = DType::f64;
    o.optimizer.kind = optimizer;
    o.expose_gradients = true;
  });
}

// One training step of an untrained plan on six examples of these weights: the outputs by port.
std::map<std::string, std::vector<double>> step(const Compiled& compiled,
                                                const std::vector<double>& weights) {
  const LoadedPlan loaded(compiled.plan);
  SessionOptions options;
  options.poison = true;
  const auto session = make_session(loaded.plan(), options);
  fill_inputs(*session, ProgramKind::train_step, 4);
  const Tensor given = session->input(ProgramKind::train_step, "weights");
  REQUIRE(given.shape == Shape{6});
  std::copy(weights.begin(), weights.end(), given.as<double>());
  REQUIRE(session->run(ProgramKind::train_step).is_ok());
  std::map<std::string, std::vector<double>> results;
  for (const Port& port : compiled.contents.programs[0].graph.outputs) {
    const Tensor out = session->output(ProgramKind::train_step, port.name);
    REQUIRE(out);
    results[port.name].assign(out.as<double>(), out.as<double>() + out.shape.elements());
  }
  const auto state = session->state();
  auto& reals = results["state"];
  reals.resize(state.size() / sizeof(double));
  std::memcpy(reals.data(), state.data(), reals.size() * sizeof(double));
  return results;
}

TEST_CASE("micro-batches add up to the loss, the gradients and the update of the whole batch") {
  const OnnxModel model = convnet();
  const std::vector<double> all_weights[] = {
      {1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 0, 0}, {0.5, 2, 0, 1, 3, 1}, {1, 0, 0, 0, 0, 0}};
  for (OptimizerKind optimizer : {OptimizerKind::momentum, OptimizerKind::adam}) {
    const Compiled whole = compile(model, options_of(0, optimizer));
    for (int micro : {1, 2, 3, 6}) {
      CAPTURE(micro);
      const Compiled parts = compile(model, options_of(micro, optimizer));
      for (const auto& weights : all_weights) {
        const auto expected = step(whole, weights), actual = step(parts, weights);
        REQUIRE(actual.size() == expected.size());
        for (const auto& [port, values] : expected) {
          CAPTURE(port);
          const std::vector<double>& ours = actual.at(port);
          REQUIRE(ours.size() == values.size());
          double difference = 0, norm = 0;
          for (size_t i = 0; i < values.size(); ++i) {
            difference += (ours[i] - values[i]) * (ours[i] - values[i]);
            norm += values[i] * values[i];
          }
          CHECK(std::sqrt(difference) <= 1e-9 * std::sqrt(norm));
        }
      }
    }
  }
}

TEST_CASE("a batch without any weight changes nothing in micro-batches either") {
  const Compiled parts = compile(convnet(), options_of(2));
  const LoadedPlan loaded(parts.plan);
  const auto untouched = make_session(loaded.plan());
  const auto results = step(parts, {0, 0, 0, 0, 0, 0});
  CHECK(results.at("loss")[0] == 0);
  const auto state = untouched->state();
  CHECK(std::memcmp(results.at("state").data(), state.data(), state.size()) == 0);
}

TEST_CASE("micro-batches need less arena, and micro-batches of one are tiled") {
  const auto model = shared_model("mcunet-5fps-f32.onnx");
  if (!model) return;
  const auto arena = [&](int micro, bool tile) {
    const Compiled compiled = compile(*model, options_with("bias:9", [&](CompileOptions& o) {
      o.batch = 4;
      o.micro_batch = micro;
      o.classes = 10;
      o.tile = tile;
    }));
    const LoadedPlan loaded(compiled.plan);
    const auto session = make_session(loaded.plan());
    CHECK(session->batch(ProgramKind::train_step) == 4);
    train(*session, 1);
    return compiled.contents.programs[0].memory.arena_bytes;
  };
  const int64_t whole = arena(0, false), two = arena(2, false), one = arena(1, false);
  CHECK(two < whole);
  CHECK(one < two);
  CHECK(arena(1, true) < one);
}

TEST_CASE("a batch that does not divide into micro-batches is refused") {
  CHECK(contains(error_of([] { compile(convnet(), options_of(4)); }), "--micro-batch 4"));
}

}  // namespace
}  // namespace attune::test
