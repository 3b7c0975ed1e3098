#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attune/checkpoint.h"
#include "attune/trainer.h"
#include "engine/format/plan_generated.h"
#include "engine/format/plan_tensor.h"
#include "engine/random.h"
#include "graph/ir/error.h"
#include "graph/plan/read_plan.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/pipeline/plan_options.h"
#include "sparse_update/pipeline/preprocess_spec.h"
#include "sparse_update/pipeline/verify_against_model.h"
#include "tests/plan/support.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

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

TEST_CASE("micro-batches of one example whose rows are overwritten add up, too") {
  // With the classifier alone nothing is read again after the first layers.
  const OnnxModel keywords =
      OnnxModel::load(std::string(ATTUNE_SOURCE_DIR) + "/examples/keyword_spotting/kws.onnx");
  for (const std::string scheme : {"head", "bias:1", "last:2", "full"}) {
    CAPTURE(scheme);
    CompileOptions options = options_of(0);
    options.scheme = scheme;
    const auto expected = step(compile(keywords, options), {1, 2, 0, 1, 1, 3});
    options.micro_batch = 1;
    options.tile = true;
    const auto actual = step(compile(keywords, options), {1, 2, 0, 1, 1, 3});
    for (const auto& [port, values] : expected)
      for (size_t i = 0; i < values.size(); ++i)
        CHECK(actual.at(port)[i] == doctest::Approx(values[i]).epsilon(1e-9));
  }
}

// A signal, whose convolution is one of images of one row: a clamp overwrites a view of its output.
OnnxModel signal_network() {
  OnnxBuilder builder;
  builder.input("x", {-1, 1, 40}).output("y");
  builder.tensor("w", {4, 1, 7}, -0.2f, 0.02f).tensor("b", {4}, -0.1f, 0.1f);
  builder.tensor("v", {2, 4}, -0.3f, 0.1f).tensor("c", {2});
  auto& conv = builder.node("Conv", {"x", "w", "b"}, {"conv"});
  set_ints(conv, "pads", {3, 3});
  set_ints(conv, "strides", {2});
  builder.node("Relu", {"conv"}, {"relu"});
  auto& pool = builder.node("MaxPool", {"relu"}, {"pool"});
  set_ints(pool, "kernel_shape", {2});
  set_ints(pool, "strides", {2});
  builder.node("GlobalAveragePool", {"pool"}, {"mean"});
  builder.node("Flatten", {"mean"}, {"flat"});
  set_int(builder.node("Gemm", {"flat", "v", "c"}, {"y"}), "transB", 1);
  return builder.model();
}

// A gate (squeeze and excite): the gradient of a sigmoid overwrites a view of the product's.
OnnxModel gate_network() {
  OnnxBuilder builder;
  builder.input("x", {-1, 3, 6, 5}).output("y");
  builder.tensor("w", {4, 3, 3, 3}, -0.2f, 0.01f).tensor("b", {4}, -0.1f, 0.1f);
  builder.tensor("s", {4, 4}, -0.4f, 0.06f).tensor("t", {4}, 0.2f, -0.1f);
  builder.tensor("v", {2, 4}, -0.3f, 0.1f).tensor("c", {2});
  set_ints(builder.node("Conv", {"x", "w", "b"}, {"conv"}), "pads", {1, 1, 1, 1});
  builder.node("GlobalAveragePool", {"conv"}, {"mean"});
  builder.node("Flatten", {"mean"}, {"flat"});
  set_int(builder.node("Gemm", {"flat", "s", "t"}, {"squeezed"}), "transB", 1);
  builder.node("Sigmoid", {"squeezed"}, {"gate"});
  builder.ints("image", {-1, 4, 1, 1}).node("Reshape", {"gate", "image"}, {"gate.image"});
  builder.node("Mul", {"conv", "gate.image"}, {"gated"});
  builder.node("GlobalAveragePool", {"gated"}, {"pool"});
  builder.node("Flatten", {"pool"}, {"features"});
  set_int(builder.node("Gemm", {"features", "v", "c"}, {"y"}), "transB", 1);
  return builder.model();
}

TEST_CASE("micro-batches of signals and gates add up, where a view is overwritten") {
  for (const OnnxModel& model : {signal_network(), gate_network()})
    for (const char* scheme : {"head", "full"}) {
      CAPTURE(scheme);
      CompileOptions options = options_of(0);
      options.scheme = scheme;
      const auto expected = step(compile(model, options), {1, 2, 0, 1, 1, 3});
      for (int micro : {1, 2, 3}) {
        CAPTURE(micro);
        options.micro_batch = micro;
        const auto actual = step(compile(model, options), {1, 2, 0, 1, 1, 3});
        for (const auto& [port, values] : expected)
          for (size_t i = 0; i < values.size(); ++i)
            CHECK(actual.at(port)[i] == doctest::Approx(values[i]).epsilon(1e-9));
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

// What a step leaves behind with six examples of these weights, of which a shorter plan has the
// first ones.
template <class T>
std::vector<std::byte> state_after(const Compiled& compiled, const std::vector<int>& examples,
                                   const std::vector<T>& weights, BackendChoice backend) {
  const LoadedPlan loaded(compiled.plan);
  SessionOptions options;
  options.poison = true;
  options.backend = backend;
  const auto session = make_session(loaded.plan(), options);
  const Tensor x = session->port(ProgramKind::train_step, PortRole::input).tensor;
  const Tensor labels = session->input(ProgramKind::train_step, "labels");
  const Tensor given = session->input(ProgramKind::train_step, "weights");
  REQUIRE(static_cast<size_t>(given.shape.elements()) == examples.size());
  const int64_t size = x.shape.product(1, x.shape.rank);
  for (size_t n = 0; n < examples.size(); ++n) {
    for (int64_t i = 0; i < size; ++i)
      x.as<T>()[static_cast<int64_t>(n) * size + i] =
          static_cast<T>(static_cast<double>((i * 37 + examples[n] * 101) % 97) / 48 - 1);
    labels.as<int32_t>()[n] = examples[n] % session->plan().table().class_count();
    given.as<T>()[n] = weights[n];
  }
  *session->input(ProgramKind::train_step, "learning_rate").as<T>() = T(0.05);
  REQUIRE(session->run(ProgramKind::train_step).is_ok());
  return {session->state().begin(), session->state().end()};
}

TEST_CASE("micro-batches leave the very bits where sums are the same") {
  const OnnxModel model = convnet();
  const auto compiled = [&](const std::string& scheme, int batch, int micro) {
    return compile(model, options_with(scheme, [&](CompileOptions& o) {
                     o.batch = batch;
                     o.micro_batch = micro;
                   }));
  };
  using Weights = std::vector<float>;
  for (const auto backend : {BackendChoice::reference, BackendChoice::simd}) {
    // The same examples in every micro-batch, or examples that count in one only.
    const Compiled pair = compiled("full", 2, 0), pairs = compiled("full", 4, 2);
    const auto once = state_after(pair, {3, 5}, Weights{1, 1}, backend);
    CHECK(state_after(pairs, {3, 5, 3, 5}, Weights{1, 1, 1, 1}, backend) == once);
    CHECK(state_after(pairs, {3, 5, 7, 8}, Weights{1, 1, 0, 0}, backend) == once);
    CHECK(state_after(pairs, {7, 8, 3, 5}, Weights{0, 0, 1, 1}, backend) == once);
    CHECK(state_after(pairs, {7, 8, 3, 5}, Weights{1, 1, 1, 1}, backend) != once);
  }
  // One product an example, added up in the order of the examples.
  const std::vector<int> four = {1, 2, 3, 4};
  const Weights ones(4, 1);
  CHECK(state_after(compiled("head", 4, 1), four, ones, BackendChoice::reference) ==
        state_after(compiled("head", 4, 0), four, ones, BackendChoice::reference));
  // One micro-batch is no micro-batch.
  CHECK(compiled("full", 4, 4).plan == compiled("full", 4, 0).plan);
}

TEST_CASE("tiling and computing twice change no bit of a training step in micro-batches") {
  const ModelPtr model = mobile_network({48, {4, 8, 12}, 2, 3, 1, false, false});
  const auto compiled = [&](const std::string& scheme, bool tile, int64_t budget) {
    return compile(*model, options_with(scheme, [&](CompileOptions& o) {
      o.batch = 3;
      o.micro_batch = 1;
      o.tile = o.split_gradients = tile;
      o.arena_budget = budget;
      o.arena_may_exceed = true;
    }));
  };
  for (const char* scheme : {"bias:2", "full"}) {
    const Compiled plain = compiled(scheme, false, 0), tiled = compiled(scheme, true, 0),
                   least = compiled(scheme, true, 1);
    const auto arena = [](const Compiled& c) { return c.contents.programs[0].memory.arena_bytes; };
    CHECK(arena(tiled) <= arena(plain));
    CHECK(arena(least) < arena(plain));
    const std::vector<float> weights = {1, 0.5, 2};
    const auto state = state_after(plain, {1, 2, 3}, weights, BackendChoice::reference);
    CHECK(state_after(tiled, {1, 2, 3}, weights, BackendChoice::reference) == state);
    CHECK(state_after(least, {1, 2, 3}, weights, BackendChoice::reference) == state);
  }
}

// Examples of pseudo-random reals and labels that follow from the index.
class Noise : public Dataset {
 public:
  explicit Noise(int64_t count, int32_t classes) : count_(count), classes_(classes) {}
  int64_t size() const override { return count_; }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const auto label = static_cast<int32_t>(index % classes_);
    if (field == kTargetField) {
      std::memcpy(bytes.data(), &label, sizeof(label));
      return Status::ok();
    }
    Random random(static_cast<uint64_t>(index), 2);
    for (size_t i = 0; i < bytes.size() / sizeof(double); ++i) {
      const double x = static_cast<double>(random.below(2001)) / 1000 - 1;
      std::memcpy(bytes.data() + i * sizeof(x), &x, sizeof(x));
    }
    return Status::ok();
  }
  std::string_view describe(int64_t) override { return "noise"; }

 private:
  int64_t count_;
  int32_t classes_;
};

TEST_CASE("epochs with a partial batch, and checkpoints, are those of whole batches") {
  // 15 examples in batches of 6: the last one has half a batch, one micro-batch and a half.
  const LoadedPlan whole(compile(convnet(), options_of(0)).plan);
  const LoadedPlan parts(compile(convnet(), options_of(2)).plan);
  CHECK(whole.plan().table().signature() == parts.plan().table().signature());
  Noise data(15, 5);
  struct Run {
    std::unique_ptr<Session> session;
    std::unique_ptr<Trainer> trainer;
  };
  const auto start = [&](const LoadedPlan& plan) {
    Run run{make_session(plan.plan()), nullptr};
    REQUIRE(Trainer::create(*run.session, data, {.epochs = 2}, &run.trainer).is_ok());
    return run;
  };
  Run a = start(whole), b = start(parts);
  const TempFolder folder;
  const std::string path = folder.path("half.atc");
  for (int step = 0; !a.trainer->done(); ++step) {
    CAPTURE(step);
    REQUIRE(a.trainer->step().is_ok());
    REQUIRE(b.trainer->step().is_ok());
    CHECK(b.trainer->progress().last_loss ==
          doctest::Approx(a.trainer->progress().last_loss).epsilon(1e-9));
    CHECK(b.trainer->progress().correct_sum == a.trainer->progress().correct_sum);
    if (step != 1) continue;
    // Parts go on from what whole batches saved, and the other way round.
    REQUIRE(save_checkpoint(path.c_str(), *a.session,
                            {a.trainer->options(), a.trainer->progress(), data.size()})
                .is_ok());
    b = start(parts);
    CheckpointInfo info;
    REQUIRE(load_checkpoint(path.c_str(), *b.session, &info).is_ok());
    REQUIRE(b.trainer->resume(info.progress).is_ok());
    CHECK(std::equal(a.session->state().begin(), a.session->state().end(),
                     b.session->state().begin()));
  }
  CHECK(b.trainer->done());
  const auto* ours = reinterpret_cast<const double*>(b.session->state().data());
  const auto* theirs = reinterpret_cast<const double*>(a.session->state().data());
  for (size_t i = 0; i < a.session->state().size() / sizeof(double); ++i)
    CHECK(ours[i] == doctest::Approx(theirs[i]).epsilon(1e-8));
}

TEST_CASE("what is computed over its examples does not spoil the batch") {
  // Its first layer may lie on its input.
  const OnnxModel model = OnnxModel::load(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx");
  for (const char* scheme : {"head", "bias:4", "full"}) {
    const auto step_of = [&](int micro) {
      const LoadedPlan loaded(compile(model, options_with(scheme,
                                                          [&](CompileOptions& o) {
                                                            o.micro_batch = micro;
                                                            o.real = DType::f64;
                                                          }))
                                  .plan);
      const auto session = make_session(loaded.plan(), {.poison = true});
      train(*session, 2);
      std::vector<double> reals(session->state().size() / sizeof(double));
      std::memcpy(reals.data(), session->state().data(), session->state().size());
      return reals;
    };
    const auto whole = step_of(0);
    for (int micro : {1, 2}) {
      const auto parts = step_of(micro);
      REQUIRE(parts.size() == whole.size());
      double worst = 0;
      for (size_t i = 0; i < whole.size(); ++i)
        worst = std::max(worst, std::fabs(parts[i] - whole[i]));
      CHECK(worst < 1e-9);
    }
  }
}

TEST_CASE("kernels that are prepared for one place do not read examples that move on") {
  // The first layer is frozen, and XNNPACK packs such layers.
  const OnnxModel model = OnnxModel::load(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx");
  for (const int micro : {0, 2}) {
    const LoadedPlan loaded(
        compile(model, options_with("bias:3", [&](CompileOptions& o) { o.micro_batch = micro; }))
            .plan);
    const auto loss_with = [&](BackendChoice backend) {
      const auto session = make_session(loaded.plan(), {.backend = backend, .poison = true});
      train(*session, 1);
      return *session->output(ProgramKind::train_step, "loss").as<float>();
    };
    const float expected = loss_with(BackendChoice::reference);
    for (const auto backend : {BackendChoice::best, BackendChoice::xnnpack, BackendChoice::simd})
      CHECK(loss_with(backend) == doctest::Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("a plan of micro-batches is verified against its model") {
  const OnnxModel model = convnet();
  for (int micro : {1, 3}) {
    const LoadedPlan loaded(compile(model, options_of(micro)).plan);
    CHECK(micro_batch_of_plan(loaded.plan()) == micro);
    CHECK(options_of_plan(loaded.plan()).micro_batch == micro);
    const VerifyReport report = verify_plan_against_model(loaded.plan(), model, nullptr, {});
    CHECK(report.ok());
    CHECK(report.loss_plan == doctest::Approx(report.loss_model));
  }
  // The first examples make room for what comes after them.
  const OnnxModel keywords =
      OnnxModel::load(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx");
  const auto options = options_with("bias:3", [](CompileOptions& o) { o.micro_batch = 1; });
  const LoadedPlan loaded(compile(keywords, options).plan);
  CHECK(verify_plan_against_model(loaded.plan(), keywords, nullptr, {}).ok());
}

TEST_CASE("a published network in micro-batches trains as with whole batches, in less memory") {
  const auto model = shared_model("mcunet-5fps-f32.onnx");
  if (!model) return;
  const auto compiled = [&](int micro, bool tile) {
    return compile(*model, options_with(ATTUNE_SOURCE_DIR "/bench/memory/mcunet-5fps.json",
                                        [&](CompileOptions& o) {
                                          o.batch = 4;
                                          o.micro_batch = micro;
                                          o.classes = 10;
                                          o.tile = tile;
                                          o.stream = false;  // which takes less than these
                                          o.preprocess = parse_preprocess("unit:128x128");
                                        }));
  };
  const Compiled whole = compiled(0, false);
  const auto trained = [&](const Compiled& c) {
    const LoadedPlan loaded(c.plan);
    const auto session = make_session(loaded.plan(), {.backend = BackendChoice::simd});
    CHECK(session->batch(ProgramKind::train_step) == 4);
    train(*session, 3);
    std::vector<float> reals(session->state().size() / sizeof(float));
    std::memcpy(reals.data(), session->state().data(), session->state().size());
    return reals;
  };
  const std::vector<float> expected = trained(whole);
  int64_t arena = whole.contents.programs[0].memory.arena_bytes;
  for (const auto& [micro, tile] : {std::pair{2, false}, {1, false}, {1, true}}) {
    CAPTURE(micro);
    CAPTURE(tile);
    const Compiled parts = compiled(micro, tile);
    CHECK(parts.contents.programs[0].memory.arena_bytes < arena);
    arena = parts.contents.programs[0].memory.arena_bytes;
    const std::vector<float> actual = trained(parts);
    REQUIRE(actual.size() == expected.size());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      difference += std::pow(actual[i] - expected[i], 2);
      norm += std::pow(expected[i], 2);
    }
    CHECK(std::sqrt(difference) <= 1e-5 * std::sqrt(norm));
  }
}

TEST_CASE("a plan does not grow with the number of micro-batches") {
  const auto compiled = [](int batch, int micro) {
    return compile(convnet(), options_with("full", [&](CompileOptions& o) {
                     o.batch = batch;
                     o.micro_batch = micro;
                   }));
  };
  const LoadedPlan few(compiled(4, 2).plan), many(compiled(4096, 2).plan);
  const format::Program& program = *many.plan().program(ProgramKind::train_step);
  CHECK(many.plan().file_bytes() <= few.plan().file_bytes() + 64);
  CHECK(program.repeat_count() == 2048);
  CHECK(program.steps()->size() == few.plan().program(ProgramKind::train_step)->steps()->size());
  // What is done for an example, and the update once.
  const auto macs = [](const LoadedPlan& loaded) {
    return total_macs(*loaded.plan().program(ProgramKind::train_step));
  };
  CHECK(macs(many) == 1024 * macs(few));
  const LoadedPlan whole(compiled(4, 0).plan);
  CHECK(macs(few) == macs(whole));

  // Read back, it is repeated as well, and carries its sums on.
  const Graph graph = graph_of_plan(few.plan(), ProgramKind::train_step, DType::f32);
  CHECK(graph.repeat.count == 2);
  CHECK(graph.repeat.carried.size() == few.plan().table().parameters()->size() + 2);
  CHECK(contains(graph.text(), "2 times:\n"));
}

TEST_CASE("repetitions that lead out of a plan's memory are refused") {
  const std::vector<std::byte> plan = compile(convnet(), options_of(2)).plan;
  using format::Program;
  const auto with = [&](unsigned field, int32_t value) {
    return error_after(plan, [&](const Plan& loaded) {
      REQUIRE(set_field(loaded.program(ProgramKind::train_step), field, value));
    });
  };
  CHECK(with(Program::VT_REPEAT_COUNT, 2) == "");
  CHECK(contains(with(Program::VT_REPEAT_COUNT, 1000), "moves out of its segment"));
  CHECK(contains(with(Program::VT_REPEAT_COUNT, 0), "0 times"));
  CHECK(contains(with(Program::VT_REPEAT_COUNT, -1), "-1 times"));
  CHECK(contains(with(Program::VT_REPEAT_COUNT, 1 << 30), "times"));
  CHECK(contains(with(Program::VT_REPEAT_BEGIN, -1), "repeats steps -1 .. "));
  CHECK(contains(with(Program::VT_REPEAT_BEGIN, 1 << 20), "repeats steps"));
  CHECK(contains(with(Program::VT_REPEAT_END, 1 << 20), "repeats steps"));
  CHECK(contains(with(Program::VT_REPEAT_END, -7), "repeats steps"));
  const auto advance = [&](uint64_t bytes) {
    return error_after(plan, [&](const Plan& loaded) {
      for (const format::Tensor* tensor : *loaded.program(ProgramKind::train_step)->tensors())
        if (tensor->advance() > 0) REQUIRE(set_field(tensor, format::Tensor::VT_ADVANCE, bytes));
    });
  };
  CHECK(advance(8) == "");
  CHECK(contains(advance(7), "unaligned"));
  CHECK(contains(advance(UINT64_MAX - 7), "moves out of its segment"));

  // Only what is read moves, and is no port. A field that is 0 is not in the file, so a list names
  // another tensor.
  const auto where = [&](const auto& change) {
    return error_after(plan, [&](const Plan& loaded) {
      const Program& train = *loaded.program(ProgramKind::train_step);
      int32_t moving = 0;
      while (train.tensors()->Get(static_cast<unsigned>(moving))->advance() == 0) ++moving;
      change(train, moving);
    });
  };
  CHECK(contains(where([](const Program& train, int32_t moving) {
                   auto* outputs = const_cast<flatbuffers::Vector<int32_t>*>(
                       train.steps()->Get(static_cast<unsigned>(train.repeat_begin()))->outputs());
                   outputs->Mutate(0, moving);
                 }),
                 "output 0 moves"));
  CHECK(contains(where([](const Program& train, int32_t moving) {
                   REQUIRE(set_field(train.ports()->Get(1), format::Port::VT_TENSOR, moving));
                 }),
                 " moves"));
}

TEST_CASE("a batch that does not divide into micro-batches is refused") {
  for (int micro : {4, 5, 7, 12, -1})
    CHECK(contains(error_of([&] { compile(convnet(), options_of(micro)); }),
                   "--micro-batch " + std::to_string(micro)));
}

}  // namespace
}  // namespace attune::test
