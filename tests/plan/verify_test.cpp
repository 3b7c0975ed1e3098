#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "graph/ir/error.h"
#include "sparse_update/pipeline/verify_against_model.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

VerifyReport verify(const OnnxModel& model, std::span<const std::byte> plan,
                    const VerifyOptions& how = {.examples = 2}) {
  LoadedPlan loaded(plan);
  return verify_plan_against_model(loaded.plan(), model, nullptr, how);
}

VerifyReport verify(const OnnxModel& model, const CompileOptions& options) {
  return verify(model, compile(model, options).plan);
}

void check(const VerifyReport& report) {
  CHECK_MESSAGE(report.ok(), report.json());
  CHECK(report.tensors > 0);
  CHECK(report.parameters > 0);
  CHECK(report.loss_plan == doctest::Approx(report.loss_model).epsilon(1e-6));
  CHECK(report.loss_session == doctest::Approx(report.loss_model).epsilon(1e-5));
}

TEST_CASE("plans of shared models mean and compute what the models do") {
  for (const std::string& name : shared_models()) {
    const auto model = shared_model(name);
    if (!model) continue;
    for (const char* scheme : {"head", "bias:3"}) {
      CAPTURE(name);
      CAPTURE(std::string(scheme));
      check(verify(*model, options_with(scheme, [](CompileOptions& o) { o.batch = 2; })));
    }
  }
}

TEST_CASE("every way to compile the test's model verifies") {
  const OnnxModel model = convnet();
  for (const char* scheme : {"full", "head", "bias:2", "last:1"})
    for (const bool fuse : {true, false})
      for (const DType real : {DType::f32, DType::f64})
        for (const int classes : {0, 7}) {
          CAPTURE(std::string(scheme));
          CAPTURE(fuse);
          CAPTURE(classes);
          const VerifyReport report = verify(model, options_with(scheme, [&](CompileOptions& o) {
                                               o.fuse = fuse, o.real = real, o.classes = classes,
                                               o.predict_batch = 2;
                                             }));
          check(report);
          if (real == DType::f64) CHECK(report.worst_session.relative_error < 1e-12);
        }
}

TEST_CASE("a plan that takes images as bytes is held against normalized planes") {
  const VerifyReport report = verify(convnet(), options_with("bias:1", [](CompileOptions& o) {
                                       o.preprocess.front_end = FrontEnd::image;
                                       auto& image = o.preprocess.image;
                                       image.width = image.height = 9;
                                       for (int c = 0; c < 3; ++c) {
                                         image.scale[c] = 0.01f * static_cast<float>(c + 1);
                                         image.offset[c] = -0.5f * static_cast<float>(c);
                                       }
                                     }));
  check(report);
}

TEST_CASE("models that take an image's pixels in their own order are verified, too") {
  // As Keras exports a convolutional network, and a dense one of grey pictures.
  OnnxBuilder keras, dense;
  keras.input("x", {-1, 6, 5, 3}).tensor("w", {4, 3, 3, 3}, -0.3f).tensor("v", {4, 2});
  set_ints(keras.node("Transpose", {"x"}, {"planes"}), "perm", {0, 3, 1, 2});
  keras.node("Conv", {"planes", "w"}, {"c"});
  keras.node("GlobalAveragePool", {"c"}, {"p"});
  keras.node("Flatten", {"p"}, {"f"});
  keras.node("MatMul", {"f", "v"}, {"y"});
  keras.output("y");
  dense.input("x", {-1, 30}).tensor("w", {30, 2}, -0.2f).node("MatMul", {"x", "w"}, {"y"});
  dense.output("y");
  for (const bool grey : {false, true}) {
    const auto compiled = [&](int channels) {
      return verify((grey ? dense : keras).model(), options_with("full", [&](CompileOptions& o) {
                      o.preprocess.front_end = FrontEnd::image;
                      auto& image = o.preprocess.image;
                      image.width = 5, image.height = 6, image.channels = channels;
                      for (int c = 0; c < channels; ++c)
                        image.scale[c] = 1 / 255.0f,
                        image.offset[c] = -0.1f * static_cast<float>(c);
                    }));
    };
    check(compiled(grey ? 1 : 3));
    CHECK(contains(error_of([&] { compiled(grey ? 3 : 1); }), "--preprocess makes images"));
  }
}

TEST_CASE("ids are no pictures") {
  OnnxBuilder b;
  b.int_input("ids", {-1, 64}).tensor("table", {6, 2}).tensor("w", {128, 2});
  b.node("Gather", {"table", "ids"}, {"rows"});
  b.node("Flatten", {"rows"}, {"f"});
  b.node("MatMul", {"f", "w"}, {"y"});
  b.output("y");
  CHECK(contains(error_of([&] {
                   compile(b.model(), options_with("full", [](CompileOptions& o) {
                             o.preprocess.front_end = FrontEnd::image;
                             auto& image = o.preprocess.image;
                             image.width = image.height = 8, image.channels = 1;
                           }));
                 }),
                 "images of real numbers, the model's input ids takes"));
}

TEST_CASE("regression is verified with random targets") {
  const VerifyReport report =
      verify(convnet(),
             options_with("full", [](CompileOptions& o) { o.loss = Loss::mean_squared_error; }));
  check(report);
  CHECK(report.loss_model > 0);
}

// --- injected faults: the report names the first tensor that is wrong

Graph& graph_of(Compiled& compiled, ProgramKind kind) {
  for (PlanProgram& program : compiled.contents.programs)
    if (program.kind == kind) return program.graph;
  FAIL("no such program");
  return compiled.contents.programs.front().graph;
}

Node& node_making(Graph& graph, const std::string& model_tensor) {
  for (Node& node : graph.nodes)
    for (ValueId id : node.outputs)
      if (id != kNone && graph.value(id).model_tensor == model_tensor) return node;
  FAIL("nothing makes " << model_tensor);
  return graph.nodes.front();
}

void add_to(Value& value, size_t index, double amount) {
  std::vector<double> reals = value.data->reals();
  reals.at(index) += amount;
  value.data = Data::of_reals(std::move(reals));
}

TensorDifference first_of(const Compiled& compiled) {
  const VerifyReport report = verify(convnet(), write_plan(compiled.contents));
  REQUIRE_MESSAGE(!report.ok(), report.json());
  // The JSON is what `attune verify --json` prints.
  const auto json = nlohmann::json::parse(report.json());
  CHECK(json.at("ok") == false);
  CHECK(json.at("first").at("tensor") == report.first->tensor);
  return *report.first;
}

TEST_CASE("a changed constant shows at the layer that it was folded into") {
  Compiled compiled = compile(convnet(), options_with("head"));
  Graph& predict = graph_of(compiled, ProgramKind::predict);
  Node& layer = node_making(predict, "depthwise_act");
  REQUIRE(layer.op == Op::depthwise_conv2d);
  add_to(predict.value(layer.inputs[1]), 3, 0.01);
  const TensorDifference first = first_of(compiled);
  CHECK(first.tensor == "depthwise_act");
  CHECK(first.program == "predict");
  CHECK(first.arithmetic == "f64");
  CHECK(first.node == layer.name);
  CHECK(first.max_abs > 0);
  CHECK(std::fabs(first.actual - first.expected) == doctest::Approx(first.max_abs));
}

TEST_CASE("a frozen constant that keeps its name differs in the slightest bit") {
  Compiled compiled =
      compile(convnet(), options_with("head", [](CompileOptions& o) { o.fuse = false; }));
  Graph& predict = graph_of(compiled, ProgramKind::predict);
  Value& weight = predict.value(node_making(predict, "stem_out").inputs[1]);
  const auto old = static_cast<float>(weight.data->reals()[1]);
  add_to(weight, 1, std::nextafter(old, 10.0f) - old);
  const TensorDifference first = first_of(compiled);
  CHECK(first.tensor == "stem.weight");
  CHECK(first.program == "constants");
  CHECK(first.max_abs > 0);
}

TEST_CASE("a trained parameter that does not start from the model's value is named") {
  Compiled compiled = compile(convnet(), options_with("head"));
  for (PlanProgram& program : compiled.contents.programs)
    for (Value& value : program.graph.values)
      if (value.origin.tensor == "fc.bias" && value.role == Role::parameter) add_to(value, 4, 1e-3);
  const TensorDifference first = first_of(compiled);
  CHECK(first.tensor == "fc.bias");
  CHECK(first.program == "state");
  CHECK(first.index == 4);
  CHECK(first.actual - first.expected == doctest::Approx(1e-3).epsilon(1e-3));
}

TEST_CASE("a clamp at another limit shows where it is") {
  Compiled compiled = compile(convnet(), options_with("head"));
  Graph& evaluate = graph_of(compiled, ProgramKind::evaluate);
  Node& layer = node_making(evaluate, "stem_act");
  std::get<Conv2dAttrs>(layer.attrs).clamp_max = 0.5;
  const TensorDifference first = first_of(compiled);
  CHECK(first.tensor == "stem_act");
  CHECK(first.program == "evaluate");
}

TEST_CASE("a shifted window shows where it is") {
  Compiled compiled = compile(convnet(), options_with("head"));
  Node& layer = node_making(graph_of(compiled, ProgramKind::train_step), "depthwise_act");
  auto& attrs = std::get<Conv2dAttrs>(layer.attrs);
  attrs.pad_left = 0, attrs.pad_right = 2;
  const TensorDifference first = first_of(compiled);
  CHECK(first.tensor == "depthwise_act");
  CHECK(first.program == "train_step");
}

TEST_CASE("a transpose that swaps two axes of one size shows at its first reader") {
  Compiled compiled = compile(convnet(), options_with("head"));
  Graph& predict = graph_of(compiled, ProgramKind::predict);
  Node& transpose = predict.nodes.front();
  REQUIRE(transpose.op == Op::transpose);
  auto& perm = std::get<TransposeAttrs>(transpose.attrs).perm;
  std::swap(perm[1], perm[2]);
  CHECK(first_of(compiled).tensor == "stem_act");
}

TEST_CASE("a step that reads another tensor of the same shape shows where it reads it") {
  Compiled compiled = compile(convnet(), options_with("head"));
  Graph& predict = graph_of(compiled, ProgramKind::predict);
  Node& sum = node_making(predict, "sum");
  REQUIRE(sum.op == Op::add);
  sum.inputs[0] = sum.inputs[1];
  CHECK(first_of(compiled).tensor == "sum");
}

TEST_CASE("tensors that lie on each other show in the session only") {
  Compiled compiled = compile(convnet(), options_with("head"));
  for (PlanProgram& program : compiled.contents.programs) {
    if (program.kind != ProgramKind::predict) continue;
    const auto storage_of = [&](const char* name) {
      const ValueId id = node_making(program.graph, name).outputs[0];
      return static_cast<size_t>(program.memory.storage.of_value[static_cast<size_t>(id)]);
    };
    // What the sum adds to the block is alive throughout the block.
    program.memory.offsets[storage_of("depthwise_act")] =
        program.memory.offsets[storage_of("stem_act")];
  }
  const TensorDifference first = first_of(compiled);
  CHECK(first.arithmetic == "session");
  CHECK(first.program == "predict");
}

// --- what is refused

TEST_CASE("another model is refused") {
  LoadedPlan loaded(compile(convnet(), options_with("head")).plan);
  const OnnxModel other = convnet({.softmax = true});
  const std::string error =
      error_of([&] { verify_plan_against_model(loaded.plan(), other, nullptr, {}); });
  CHECK(contains(error, "another model (convnet.onnx)"));
}

// Examples that are counted, and labels that may be wrong.
class Examples : public Dataset {
 public:
  Examples(int64_t count, int32_t label) : count_(count), label_(label) {}
  int64_t size() const override { return count_; }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    if (index < 0 || index >= count_) return Status::error("example %d", static_cast<int>(index));
    most_ = std::max(most_, index);
    if (field == kTargetField) {
      std::memcpy(bytes.data(), &label_, sizeof(label_));
      return Status::ok();
    }
    auto* x = reinterpret_cast<float*>(bytes.data());
    for (size_t i = 0; i < bytes.size() / 4; ++i)
      x[i] = static_cast<float>((i * 7 + static_cast<size_t>(index)) % 11) / 11;
    return Status::ok();
  }
  std::string_view describe(int64_t) override { return "counted examples"; }
  int64_t most() const { return most_; }

 private:
  int64_t count_, most_ = -1;
  int32_t label_;
};

TEST_CASE("examples come from the data, again from the first where they end") {
  const OnnxModel model = convnet();
  LoadedPlan loaded(compile(model, options_with("head")).plan);
  Examples examples(3, 4);
  const VerifyReport report =
      verify_plan_against_model(loaded.plan(), model, &examples, {.examples = 5});
  check(report);
  CHECK(report.examples == 5);
  CHECK(examples.most() == 2);
}

TEST_CASE("empty data and labels outside the classes are errors") {
  const OnnxModel model = convnet();
  LoadedPlan loaded(compile(model, options_with("head")).plan);
  Examples none(0, 0), wrong(3, 5);
  CHECK(contains(error_of([&] { verify_plan_against_model(loaded.plan(), model, &none, {}); }),
                 "no examples"));
  CHECK(contains(error_of([&] { verify_plan_against_model(loaded.plan(), model, &wrong, {}); }),
                 "label 5"));
}

}  // namespace
}  // namespace attune::test
