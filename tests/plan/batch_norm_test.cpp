// The statistics of batch norms: updated in training, estimated before it, kept and exported.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "attune/attune.h"
#include "attune/checkpoint.h"
#include "attune/statistics.h"
#include "engine/random.h"
#include "graph/import/model.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/verify_against_model.h"
#include "tests/plan/support.h"
#include "tests/support/compiled_plan.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// What PyTorch makes of the network below.
struct Reference {
  const char *what, *name;
  double cosines, sines;
};
constexpr Reference kReferences[] = {
#include "tests/plan/batch_norm_reference.inc"
};

constexpr int kExamples = 11, kBatch = 4, kFeatures = 60;
constexpr double kRate = 0.05;

double feature(int64_t i) { return std::sin(0.37 * static_cast<double>(i + 1)) + 0.2; }
int label(int64_t example) { return static_cast<int>(example * 2 % 3); }

// Of batch_norm_reference.py.
class Network {
 public:
  Network() : onnx_(17) {
    onnx_.input("x", {-1, 2, 30}).output("scores");
    conv("line", "x", {3, 2, 3}, {{"pads", {1, 1}}});
    norm("line_norm", "line.y", 3, 0.7f, 1e-5f);
    onnx_.node("Relu", {"line_norm.y"}, {"line_relu"});
    onnx_.ints("image_shape", {-1, 3, 5, 6})
        .node("Reshape", {"line_relu", "image_shape"}, {"image.x"});
    conv("image", "image.x", {4, 3, 3, 3}, {{"strides", {2, 2}}});
    norm("image_norm", "image.y", 4, 0.9f, 1e-3f);
    onnx_.node("Relu", {"image_norm.y"}, {"image_relu"});
    onnx_.node("Flatten", {"image_relu"}, {"flat"});
    linear("dense", "flat", 5, 16, "dense.y");
    norm("dense_norm", "dense.y", 5, 0.9f, 1e-5f);
    onnx_.node("Relu", {"dense_norm.y"}, {"dense_relu"});
    linear("head", "dense_relu", 3, 5, "scores");
  }
  OnnxBuilder& onnx() { return onnx_; }
  OnnxModel model() const { return onnx_.model(); }

 private:
  void wave(const std::string& name, const std::vector<int64_t>& dims, bool positive) {
    onnx_.tensor(name, dims);
    auto& made = *onnx_.proto().mutable_graph()->mutable_initializer()->rbegin();
    for (int i = 0; i < made.float_data_size(); ++i)
      made.set_float_data(
          i, static_cast<float>((positive ? 0.3 : 0.6) * std::sin((0.7 + 0.1 * count_) * (i + 1)) +
                                (positive ? 1 : 0.05)));
    ++count_;
  }
  void conv(const std::string& name, const std::string& x, const std::vector<int64_t>& dims,
            const std::vector<std::pair<const char*, std::vector<int64_t>>>& attributes) {
    wave(name + ".weight", dims, false);
    auto& node = onnx_.node("Conv", {x, name + ".weight"}, {name + ".y"});
    for (const auto& [key, values] : attributes) set_ints(node, key, values);
  }
  void norm(const std::string& name, const std::string& x, int64_t channels, float momentum,
            float epsilon) {
    wave(name + ".weight", {channels}, true);
    wave(name + ".bias", {channels}, false);
    wave(name + ".running_mean", {channels}, false);
    wave(name + ".running_var", {channels}, true);
    ++count_;  // num_batches_tracked
    auto& node = onnx_.node(
        "BatchNormalization",
        {x, name + ".weight", name + ".bias", name + ".running_mean", name + ".running_var"},
        {name + ".y"});
    set_float(node, "momentum", momentum);
    set_float(node, "epsilon", epsilon);
  }
  void linear(const std::string& name, const std::string& x, int64_t outputs, int64_t inputs,
              const std::string& y) {
    wave(name + ".weight", {outputs, inputs}, false);
    wave(name + ".bias", {outputs}, false);
    set_int(onnx_.node("Gemm", {x, name + ".weight", name + ".bias"}, {y}), "transB", 1);
  }

  OnnxBuilder onnx_;
  int count_ = 0;
};

CompileOptions options_of(BatchNorm mode, DType real = DType::f64) {
  return options_with("full", [&](CompileOptions& o) {
    o.batch_norm = mode;
    o.real = real;
    o.optimizer = {.kind = OptimizerKind::sgd};
    o.batch = kBatch;
    o.evaluate_batch = kExamples;
    o.expose_gradients = true;
  });
}

void set(const Tensor& tensor, int64_t i, double value) {
  if (tensor.dtype == DType::f64)
    tensor.as<double>()[i] = value;
  else if (tensor.dtype == DType::f32)
    tensor.as<float>()[i] = static_cast<float>(value);
  else
    tensor.as<int32_t>()[i] = static_cast<int32_t>(value);
}

// Gives a program the examples in this order; what lacks has no weight, and is zeros.
void feed(Session& session, ProgramKind kind, const std::vector<int64_t>& examples, int step) {
  const Tensor x = session.input(kind, "x"), weights = session.input(kind, "weights");
  const Tensor labels = session.input(kind, "labels");
  for (int64_t i = 0; i < session.batch(kind); ++i) {
    const bool is_there = i < static_cast<int64_t>(examples.size());
    const int64_t example = is_there ? examples[static_cast<size_t>(i)] : 0;
    for (int64_t f = 0; f < kFeatures; ++f)
      set(x, i * kFeatures + f, is_there ? feature(example * kFeatures + f) : 0);
    set(weights, i, is_there);
    if (labels) set(labels, i, is_there ? label(example) : 0);
  }
  if (const Tensor rate = session.input(kind, "learning_rate")) set(rate, 0, kRate);
  if (const Tensor number = session.input(kind, "step")) set(number, 0, step);
  require(session.run(kind));
}

std::vector<int64_t> batch_of(int step) {  // from 1
  std::vector<int64_t> examples;
  for (int64_t i = (step - 1) * kBatch; i < std::min(step * kBatch, kExamples); ++i)
    examples.push_back(i);
  return examples;
}

double evaluated(Session& session) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < kExamples; ++i) all.push_back(i);
  feed(session, ProgramKind::evaluate, all, 1);
  return reals_of(session.output(ProgramKind::evaluate, "loss"))[0];
}

// How many references of this kind there are, each within the tolerance of what `tensor(name)` is.
template <class F>
int compare(const std::string& what, double tolerance, F&& tensor) {
  int compared = 0;
  for (const Reference& reference : kReferences) {
    if (reference.what != what) continue;
    CAPTURE(what);
    CAPTURE(std::string(reference.name));
    double cosines = 0, sines = 0, number = 1;
    for (const double x : tensor(std::string(reference.name))) {
      cosines += x * std::cos(number), sines += x * std::sin(number);
      ++number;
    }
    CHECK(std::fabs(cosines - reference.cosines) < tolerance);
    CHECK(std::fabs(sines - reference.sines) < tolerance);
    ++compared;
  }
  return compared;
}

void check_state(const std::string& what, const CompiledPlan& plan, Session& session,
                 double tolerance) {
  CHECK(compare(what, tolerance, [&](const std::string& name) {
          if (name == "loss") return std::vector<double>{evaluated(session)};
          const format::Parameter* parameter = plan.parameter(name);
          REQUIRE(parameter != nullptr);
          CHECK(parameter->statistic());
          return in_model_order(*parameter, parameter_tensor(session, *parameter));
        }) == 7);
}

void train_steps(Session& session, int first, int last) {
  for (int step = first; step <= last; ++step)
    feed(session, ProgramKind::train_step, batch_of(step), step);
}

void estimate_in_order(Session& session) {
  for (int step = 1; step <= 3; ++step) feed(session, ProgramKind::estimate, batch_of(step), step);
}

bool same_state(const Session& a, const Session& b) {
  return a.state().size() == b.state().size() &&
         std::memcmp(a.state().data(), b.state().data(), a.state().size()) == 0;
}

// The network's examples, without labels.
class Unlabelled : public Dataset {
 public:
  int64_t size() const override { return kExamples; }
  bool labelled() const override { return false; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    if (field != 0) return Status::error("there are no labels");
    for (int64_t f = 0; f < kFeatures; ++f) {
      const double value = feature(index * kFeatures + f);
      std::memcpy(bytes.data() + f * static_cast<int64_t>(sizeof(value)), &value, sizeof(value));
    }
    return Status::ok();
  }
  std::string_view describe(int64_t) override { return "an example"; }
};

}  // namespace

TEST_CASE("batch norms that are updated train as in PyTorch, a partial last batch too") {
  for (const bool fuse : {true, false}) {
    CompileOptions options = options_of(BatchNorm::update);
    options.fuse = fuse;
    const CompiledPlan plan(Network().model(), options);
    const auto session = plan.session({.poison = true});
    for (int step = 1; step <= 3; ++step) {
      train_steps(*session, step, step);
      CHECK(compare(fmt::format("step {}", step), 1e-9, [&](const std::string& name) {
              if (name == "loss") return reals_of(session->output(ProgramKind::train_step, "loss"));
              const format::Parameter* parameter = plan.parameter(name);
              REQUIRE(parameter != nullptr);
              return in_model_order(*parameter,
                                    session->output(ProgramKind::train_step, "grad:" + name));
            }) == 13);
    }
    check_state("trained", plan, *session, 1e-9);
  }
}

TEST_CASE("what saves memory leaves updated batch norms what they are") {
  const int64_t arena = static_cast<int64_t>(
      CompiledPlan(Network().model(), options_of(BatchNorm::update)).plan().table().arena_bytes());
  for (const int64_t budget : {int64_t{0}, arena * 9 / 10, arena / 2}) {
    CompileOptions options = options_of(BatchNorm::update);
    options.expose_gradients = false;
    options.tile = options.split_gradients = options.remake_masks = true;
    options.arena_budget = budget;
    options.arena_may_exceed = true;
    const CompiledPlan plan(Network().model(), options);
    const auto session = plan.session({.poison = true});
    train_steps(*session, 1, 3);
    check_state("trained", plan, *session, 1e-9);
  }
}

TEST_CASE("in single precision updated statistics are PyTorch's, with any backend") {
  const CompiledPlan plan(Network().model(), options_of(BatchNorm::update, DType::f32));
  for (const BackendChoice backend : {BackendChoice::best, BackendChoice::reference}) {
    const auto session = plan.session({.backend = backend, .threads = 2, .poison = true});
    train_steps(*session, 1, 3);
    check_state("trained", plan, *session, 1e-5);
  }
}

TEST_CASE("statistics are estimated as PyTorch's forward passes do with a momentum of None") {
  for (const DType real : {DType::f64, DType::f32}) {
    const CompiledPlan plan(Network().model(), options_of(BatchNorm::estimate, real));
    const auto session = plan.session({.poison = true});
    estimate_in_order(*session);
    check_state("estimated", plan, *session, real == DType::f64 ? 1e-9 : 1e-5);
    // They stay while the rest trains.
    train_steps(*session, 1, 3);
    const format::Parameter& mean = *plan.parameter("dense_norm.running_mean");
    const auto after = in_model_order(mean, parameter_tensor(*session, mean));
    session->reset_state();
    estimate_in_order(*session);
    CHECK(after == in_model_order(mean, parameter_tensor(*session, mean)));
  }
}

TEST_CASE("an estimate goes through shuffled data without labels") {
  const CompiledPlan plan(Network().model(), options_of(BatchNorm::estimate));
  const auto session = plan.session({}), by_hand = plan.session({});
  Unlabelled data;
  require(estimate_statistics(*session, data, 5));
  int32_t order[kExamples];
  shuffled_order(Random(5, 0), kExamples, order);
  for (int step = 1; step <= 3; ++step) {
    std::vector<int64_t> examples = batch_of(step);
    for (int64_t& example : examples) example = order[example];
    feed(*by_hand, ProgramKind::estimate, examples, step);
  }
  CHECK(same_state(*session, *by_hand));
  const CompiledPlan frozen(Network().model(), options_of(BatchNorm::frozen));
  const Status status = estimate_statistics(*frozen.session({}), data, 5);
  CHECK(contains(std::string(status.message()), "estimate"));
}

TEST_CASE("the C API tells where there is no memory to estimate with") {
  const auto compiled = compile(Network().model(), options_of(BatchNorm::estimate)).plan;
  const auto take = [](void* refuses, size_t size, size_t) -> void* {
    return *static_cast<bool*>(refuses) ? nullptr : std::aligned_alloc(64, (size + 63) / 64 * 64);
  };
  bool refuses = false;
  void* const bytes = take(&refuses, compiled.size(), 64);
  std::memcpy(bytes, compiled.data(), compiled.size());
  attune_allocator allocator = {sizeof(allocator), &refuses, take,
                                [](void*, void* memory, size_t) { std::free(memory); }};
  attune_session_options options = {};
  options.size = sizeof(options);
  options.allocator = &allocator;
  attune_dataset data = {};
  data.size = sizeof(data);
  data.count = kExamples;
  data.labelled = 1;
  data.read = [](void*, int64_t, int32_t, void* to, size_t size) {
    std::memset(to, 0, size);
    return int32_t{0};
  };
  attune_error error;
  attune_plan* plan = nullptr;
  attune_session* session = nullptr;
  attune_trainer* trainer = nullptr;
  REQUIRE(attune_plan_from_memory(bytes, compiled.size(), nullptr, &plan, &error) == ATTUNE_OK);
  REQUIRE(attune_session_create(plan, &options, &session, &error) == ATTUNE_OK);
  REQUIRE(attune_trainer_create(session, &data, nullptr, &trainer, &error) == ATTUNE_OK);
  refuses = true;
  CHECK(attune_session_estimate_statistics(session, &data, 0, &error) == ATTUNE_ERROR_MEMORY);
  CHECK(attune_trainer_step(trainer, nullptr, &error) == ATTUNE_ERROR_MEMORY);
  CHECK(contains(std::string(error.message), "out of memory"));
  refuses = false;
  CHECK(attune_trainer_step(trainer, nullptr, &error) == ATTUNE_OK);
  attune_trainer_destroy(trainer);
  attune_session_destroy(session);
  attune_plan_destroy(plan);
  std::free(bytes);
}

TEST_CASE("a batch norm with one value in a channel of a batch takes the running statistics") {
  const CompiledPlan plan(Network().model(), options_of(BatchNorm::update));
  const auto session = plan.session({});
  const format::Parameter& mean = *plan.parameter("dense_norm.running_mean");
  const auto before = in_model_order(mean, parameter_tensor(*session, mean));
  feed(*session, ProgramKind::train_step, {7}, 1);
  CHECK(std::isfinite(reals_of(session->output(ProgramKind::train_step, "loss"))[0]));
  const auto after = in_model_order(mean, parameter_tensor(*session, mean));
  for (size_t c = 0; c < before.size(); ++c) CHECK(after[c] == doctest::Approx(before[c]));
}

TEST_CASE("statistics are in the checkpoint: a run goes on with the same bits") {
  const TempFolder folder;
  const std::string path = folder.path("run.atc");
  const CompiledPlan plan(Network().model(), options_of(BatchNorm::update, DType::f32));
  const auto whole = plan.session({}), first = plan.session({}), second = plan.session({});
  train_steps(*whole, 1, 3);
  train_steps(*first, 1, 2);
  require(save_checkpoint(path.c_str(), *first, {}));
  require(load_checkpoint(path.c_str(), *second, nullptr));
  train_steps(*second, 3, 3);
  CHECK(same_state(*whole, *second));
  // A plan that leaves the statistics alone is another.
  const CompiledPlan frozen(Network().model(), options_of(BatchNorm::frozen, DType::f32));
  const Status status = load_checkpoint(path.c_str(), *frozen.session({}), nullptr);
  CHECK(contains(std::string(status.message()), "another model or scheme"));
}

TEST_CASE("statistics are exported, and the exported model computes what the plan does") {
  const OnnxModel model = Network().model();
  for (const BatchNorm mode : {BatchNorm::update, BatchNorm::estimate}) {
    const CompiledPlan plan(model, options_of(mode, DType::f32));
    const auto session = plan.session({});
    if (mode == BatchNorm::estimate) estimate_in_order(*session);
    train_steps(*session, 1, 3);
    const std::string bytes = exported_model(model, plan.plan(), session->state());
    const ModelPtr adapted = parse_model(bytes, "adapted.onnx");
    CHECK(adapted->reals("line_norm.running_var") != model.reals("line_norm.running_var"));
    const CompiledPlan again(*adapted, options_of(BatchNorm::frozen, DType::f32));
    CHECK(evaluated(*again.session({})) == doctest::Approx(evaluated(*session)).epsilon(1e-6));
  }
}

TEST_CASE("verify holds batch statistics against the model") {
  const OnnxModel model = Network().model();
  for (const BatchNorm mode : {BatchNorm::update, BatchNorm::estimate})
    for (const DType real : {DType::f32, DType::f64}) {
      const CompiledPlan plan(model, options_of(mode, real));
      const VerifyReport report =
          verify_plan_against_model(plan.plan(), model, nullptr, {.examples = 2});
      CHECK_MESSAGE(report.ok(), report.json());
    }
}

TEST_CASE("a scheme trains part of the model, and all batch norms are updated") {
  CompileOptions options = options_of(BatchNorm::update);
  options.scheme = "head";
  const CompiledPlan plan(Network().model(), options);
  const auto session = plan.session({.poison = true});
  train_steps(*session, 1, 1);
  for (const char* name : {"line_norm.running_mean", "dense_norm.running_var"}) {
    const format::Parameter* parameter = plan.parameter(name);
    REQUIRE(parameter != nullptr);
    CHECK(in_model_order(*parameter, parameter_tensor(*session, *parameter)) !=
          Network().model().reals(name));
  }
  CHECK(plan.parameter("line.weight") == nullptr);
}

TEST_CASE("what statistics of batches do not go with is refused in words") {
  const auto refusal = [](Network network, auto change) {
    CompileOptions options = options_of(BatchNorm::update);
    change(options);
    return error_of([&] { compile(network.model(), options); });
  };
  CHECK(contains(refusal(Network(), [](CompileOptions& o) { o.micro_batch = 2; }),
                 "--batch-norm update: needs the statistics of the whole batch"));
  CHECK(contains(refusal(Network(), [](CompileOptions& o) { o.batch = 1; }),
                 "one value of each channel in a batch of 1"));
  Network shared;
  shared.onnx().proto().mutable_graph()->mutable_node(9)->set_input(3, "dense.bias");
  for (const BatchNorm mode : {BatchNorm::update, BatchNorm::estimate, BatchNorm::frozen})
    CHECK(contains(refusal(shared, [&](CompileOptions& o) { o.batch_norm = mode; }),
                   "'dense.bias' is a statistic of batch norm 'dense_norm.y_node' and also"));
  CHECK(refusal(shared, [](CompileOptions& o) {
          o.batch_norm = BatchNorm::frozen, o.scheme = "head";
        }).empty());

  OnnxBuilder none;
  none.input("x", {-1, 4}).output("y").tensor("w", {3, 4});
  set_int(none.node("Gemm", {"x", "w"}, {"y"}), "transB", 1);
  CHECK(contains(error_of([&] { compile(none.model(), options_of(BatchNorm::estimate)); }),
                 "the model has no BatchNormalization: exporters fold it"));
}

TEST_CASE("frozen statistics are no state, and no program estimates them") {
  const CompiledPlan plan(Network().model(), options_of(BatchNorm::frozen));
  for (const format::Parameter* parameter : plan.parameters()) CHECK(!parameter->statistic());
  CHECK(plan.plan().program(ProgramKind::estimate) == nullptr);
}

}  // namespace attune::test
