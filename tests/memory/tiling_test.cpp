// Strips of rows, and examples one after the other, reach every kind of network that starts with
// layers on images or signals, and change no bit of what is trained.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/preprocess_spec.h"
#include "tests/plan/support.h"
#include "tests/support/compiled_plan.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

using Dims = std::vector<int64_t>;

// Layers over images, or over signals where windows have one axis.
class Layers {
 public:
  explicit Layers(const Dims& input) : axes_(input.size() - 2), channels_(input[1]) {
    builder_.input("x", input).output("y");
  }

  Layers& conv(int64_t channels, int64_t kernel, int64_t stride, int64_t groups = 1) {
    Dims weight = {channels, channels_ / groups};
    weight.resize(2 + axes_, kernel);
    const float step = 1.0f / static_cast<float>(channels * channels_ / groups * kernel * kernel);
    builder_.tensor(name("w"), weight, -0.5f, step);
    builder_.tensor(name("b"), {channels}, -0.1f, 0.01f);
    auto& node = builder_.node("Conv", {last_, name("w"), name("b")}, {name("conv")});
    set_ints(node, "pads", Dims(2 * axes_, kernel / 2));
    set_ints(node, "strides", Dims(axes_, stride));
    set_int(node, "group", groups);
    channels_ = channels;
    return go_on(name("conv"));
  }
  Layers& op(const char* op) {
    builder_.node(op, {last_}, {name(op)});
    return go_on(name(op));
  }
  Layers& max_pool(int64_t size) {
    auto& node = builder_.node("MaxPool", {last_}, {name("pool")});
    set_ints(node, "kernel_shape", Dims(axes_, size));
    set_ints(node, "strides", Dims(axes_, size));
    return go_on(name("pool"));
  }
  // Two convolutions, added to what they read: half as large, and with zeros for new channels.
  Layers& padded_block(int64_t channels) {
    const std::string before = last_;
    const int64_t padding = (channels - channels_) / 2;
    conv(channels, 3, 2).op("Relu").conv(channels, 3, 1);
    const std::string path = last_;
    last_ = before;
    auto& pool = builder_.node("AveragePool", {last_}, {name("half")});
    set_ints(pool, "kernel_shape", Dims(axes_, 1));
    set_ints(pool, "strides", Dims(axes_, 2));
    Dims pads(4 + 2 * axes_, 0);
    pads[1] = pads[3 + axes_] = padding;
    builder_.ints(name("pads"), pads);
    builder_.node("Pad", {name("half"), name("pads")}, {name("padded")});
    builder_.node("Add", {path, name("padded")}, {name("sum")});
    return go_on(name("sum"));
  }
  OnnxModel classifier() {
    builder_.node("GlobalAveragePool", {last_}, {"mean"});
    builder_.node("Flatten", {"mean"}, {"flat"});
    builder_.tensor("v", {4, channels_}, -0.3f, 0.6f / static_cast<float>(4 * channels_));
    builder_.tensor("c", {4}, 0, 0.1f);
    set_int(builder_.node("Gemm", {"flat", "v", "c"}, {"y"}), "transB", 1);
    return builder_.model();
  }

 private:
  std::string name(const char* of) const { return of + std::to_string(count_); }
  Layers& go_on(const std::string& output) {
    last_ = output;
    ++count_;
    return *this;
  }

  OnnxBuilder builder_;
  size_t axes_;
  int64_t channels_;
  std::string last_ = "x";
  int count_ = 0;
};

std::vector<std::byte> state_after_training(const CompiledPlan& compiled, BackendChoice backend) {
  SessionOptions options;
  options.backend = backend;
  options.poison = true;
  const auto session = compiled.session(options);
  for (uint64_t step = 1; step <= 2; ++step) {
    fill_inputs(*session, ProgramKind::train_step, step);
    require(session->run(ProgramKind::train_step));
    const double loss = reals_of(session->output(ProgramKind::train_step, "loss"))[0];
    CHECK(std::isfinite(loss));
  }
  std::vector<std::byte> bytes(session->state().begin(), session->state().end());
  for (const ProgramKind kind : {ProgramKind::evaluate, ProgramKind::predict}) {
    fill_inputs(*session, kind, 9);
    require(session->run(kind));
    const Tensor out = session->output(kind, kind == ProgramKind::evaluate ? "loss" : "output");
    bytes.insert(bytes.end(), out.as<std::byte>(), out.as<std::byte>() + out.bytes());
  }
  return bytes;
}

double arena_of(const CompiledPlan& plan) {
  return static_cast<double>(plan.contents().programs[0].memory.arena_bytes);
}

// The arena in strips, as a share of the whole, after checking that both train to the same bits.
double tiled_share(const Model& model, const char* preprocess = "", const char* scheme = "last:1") {
  const auto options = [&](bool tile) {
    return options_with(scheme, [&](CompileOptions& o) {
      o.batch = 1;
      o.tile = tile;
      if (*preprocess) o.preprocess = parse_preprocess(preprocess);
    });
  };
  const CompiledPlan whole(model, options(false)), tiled(model, options(true));
  for (const BackendChoice backend : {BackendChoice::reference, BackendChoice::simd})
    CHECK(state_after_training(tiled, backend) == state_after_training(whole, backend));
  return arena_of(tiled) / arena_of(whole);
}

// The same of the examples of a batch, one after the other.
double streamed_share(const Model& model) {
  const auto options = [&](bool stream) {
    return options_with("head", [&](CompileOptions& o) {
      o.batch = 8;
      o.stream = stream;
    });
  };
  const CompiledPlan whole(model, options(false)), streamed(model, options(true));
  CHECK(state_after_training(streamed, BackendChoice::reference) ==
        state_after_training(whole, BackendChoice::reference));
  return arena_of(streamed) / arena_of(whole);
}

OnnxModel image_network(int64_t channels) {
  return Layers({-1, channels, 48, 48})
      .conv(16, 3, 2)
      .op("Relu")
      .conv(48, 1, 1)
      .op("Relu")
      .conv(48, 3, 2, 48)
      .conv(8, 1, 1)
      .conv(24, 3, 2)
      .op("Relu")
      .classifier();
}

TEST_CASE("networks on images of one channel are tiled as those of three are") {
  const double colored = tiled_share(image_network(3)), gray = tiled_share(image_network(1));
  CHECK(colored < 0.5);
  CHECK(gray < 0.5);
}

TEST_CASE("networks on images of bytes are tiled, gray ones as colored ones") {
  const double colored = tiled_share(image_network(3), "unit:48x48"),
               gray = tiled_share(image_network(1), "unit:48x48x1");
  CHECK(colored < 0.3);
  CHECK(gray < 0.3);
}

OnnxModel signal_network() {
  return Layers({-1, 2, 640})
      .conv(32, 9, 2)
      .op("Relu")
      .conv(32, 5, 1, 32)
      .op("HardSwish")
      .max_pool(2)
      .conv(48, 1, 1)
      .op("Sigmoid")
      .conv(8, 1, 1)
      .conv(16, 7, 4)
      .op("Relu")
      .classifier();
}

TEST_CASE("networks on signals are tiled along time") {
  CHECK(tiled_share(signal_network()) < 0.3);
  // A second of sound, in no more strips than are worth it.
  const OnnxModel sound = Layers({1, 1, 16000})
                              .conv(16, 9, 4)
                              .op("Relu")
                              .max_pool(4)
                              .conv(24, 3, 1)
                              .op("Relu")
                              .max_pool(4)
                              .conv(32, 3, 2)
                              .op("Relu")
                              .classifier();
  CHECK(tiled_share(sound) < 0.5);
  // Images of one row.
  const OnnxModel images = Layers({1, 2, 1, 640})
                               .conv(32, 1, 1)
                               .op("Relu")
                               .conv(32, 5, 2)
                               .conv(8, 3, 2)
                               .op("Relu")
                               .classifier();
  CHECK(tiled_share(images) < 0.5);
}

TEST_CASE("networks on signals and on gray images go by examples as those on colored ones") {
  CHECK(streamed_share(image_network(3)) < 0.5);
  CHECK(streamed_share(image_network(1)) < 0.5);
  CHECK(streamed_share(signal_network()) < 0.5);
}

TEST_CASE("gradients of signals added up by examples are those of the batch") {
  const OnnxModel model = signal_network();
  std::vector<double> trained[2];
  for (const bool stream : {false, true}) {
    const CompiledPlan plan(model, options_with("full", [&](CompileOptions& o) {
                              o.batch = 8;
                              o.real = DType::f64;
                              o.stream = stream;
                            }));
    const std::vector<std::byte> bytes = state_after_training(plan, BackendChoice::reference);
    trained[stream].resize(bytes.size() / sizeof(double));
    std::memcpy(trained[stream].data(), bytes.data(), trained[stream].size() * sizeof(double));
  }
  REQUIRE(trained[0].size() == trained[1].size());
  CHECK(trained[0] != trained[1]);
  for (size_t i = 0; i < trained[0].size(); ++i)
    CHECK(trained[1][i] == doctest::Approx(trained[0][i]).epsilon(1e-9));
}

TEST_CASE("shortcuts that pad channels are tiled") {
  const OnnxModel model = Layers({1, 3, 64, 64})
                              .conv(16, 3, 1)
                              .op("Relu")
                              .padded_block(32)
                              .op("Relu")
                              .padded_block(48)
                              .op("Relu")
                              .classifier();
  CHECK(tiled_share(model) < 0.5);
  const std::string path = ATTUNE_SOURCE_DIR "/../shared/cases/memory/channel_padding_tiling.onnx";
  if (!std::filesystem::exists(path)) {
    MESSAGE("skipped: there is no " << path);
    return;
  }
  CHECK(tiled_share(*load_model(path), "", "head") < 0.55);
}

}  // namespace
}  // namespace attune::test
