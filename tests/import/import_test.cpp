#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

std::vector<const Value*> parameters(const Graph& graph) {
  std::vector<const Value*> found;
  for (const Value& value : graph.values)
    if (value.role == Role::parameter) found.push_back(&value);
  return found;
}

const Value* find_value(const Graph& graph, const std::string& name) {
  for (const Value& value : graph.values)
    if (value.name == name) return &value;
  return nullptr;
}

std::vector<double> run(const Graph& graph, int output = 0) {
  std::map<std::string, HostTensor> inputs;
  for (const Port& port : graph.inputs) {
    std::vector<double> elements(graph.shape(port.value).elements());
    for (size_t i = 0; i < elements.size(); ++i)
      elements[i] = test_element(static_cast<int64_t>(i));
    inputs[port.name] = HostTensor::of_reals(graph.real, graph.shape(port.value), elements);
  }
  return interpret(graph, inputs)[graph.outputs.at(output).value].reals();
}

Graph import_f64(const OnnxBuilder& b, int batch = 2) {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = batch;
  Graph graph = b.import(options);
  graph.verify();
  return graph;
}

void check_close(const std::vector<double>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) CHECK(std::fabs(got[i] - want[i]) <= 1e-12);
}

}  // namespace

TEST_CASE("unsupported nodes are listed all at once, nodes behind them looked up only") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.node("Det", {"x"}, {"a"});
  b.node("Relu", {"a"}, {"c"});
  b.node("MaxUnpool", {"c"}, {"d"}).clear_name();
  b.node("Custom", {"x"}, {"e"}).set_domain("com.example");
  b.ints("axes", {7});
  b.node("ReduceMean", {"x"}, {"f"});
  set_ints(*b.proto().mutable_graph()->mutable_node(4), "axes", {7});
  b.node("Sum", {"d", "e", "f"}, {"y"});
  const std::string error = error_of([&] { b.import(); });
  CHECK(error ==
        "model.onnx: 4 nodes cannot be imported:\n"
        "  a_node (Det): the operator is not supported\n"
        "  d (MaxUnpool): the operator is not supported\n"
        "  e_node (Custom): the operators of com.example are not supported\n"
        "  f_node (ReduceMean): there is no axis 7 in 2 axes\n"
        "A program of your own may register operators of com.example: see "
        "examples/custom_operator");
}

TEST_CASE("at most a thousand unsupported nodes are listed, and the others counted") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y1009");
  for (int i = 0; i < 1010; ++i) b.node("Det", {"x"}, {fmt::format("y{}", i)});
  const std::string error = error_of([&] { b.import(); });
  CHECK(contains(error, "1010 nodes"));
  CHECK(contains(error, "y999_node (Det)"));
  CHECK(!contains(error, "y1000_node (Det)"));
  CHECK(contains(error, "\n  and 10 more"));
}

TEST_CASE("the batch size replaces the leading dimension, given shapes the unknown ones") {
  OnnxBuilder b;
  b.input("x", {-1, 3, -1, 6}).output("y");
  b.node("Relu", {"x"}, {"y"});
  ImportOptions options;
  options.batch = 5;
  CHECK(contains(
      error_of([&] { b.import(options); }),
      "model.onnx: input 'x': the size of axis 2 ('N') is unknown; give the shape, for example "
      "--input-shape x:5x3x224x6"));
  options.input_shapes["x"] = {1, 3, 4, 6};
  const Graph graph = b.import(options);
  CHECK(graph.shape(graph.input("x")) == Shape{5, 3, 4, 6});
  CHECK(graph.shape(graph.output("y")) == Shape{5, 3, 4, 6});
  options.input_shapes["x"] = {1, 3, 4, 7};
  CHECK(contains(error_of([&] { b.import(options); }), "axis 3 has size 6 in the model, not 7"));
  options.input_shapes["x"] = {1, 3, 4};
  CHECK(contains(error_of([&] { b.import(options); }), "has 4 axes, not the 3 of the given shape"));
  options.input_shapes = {{"x", {1, 3, 4, 6}}, {"z", {1}}};
  CHECK(contains(error_of([&] { b.import(options); }),
                 "no input 'z' to give a shape; its inputs are 'x'"));
  options.input_shapes = {{"x", {1, 3, 1 << 20, 6}}};
  options.batch = 1 << 10;
  CHECK(contains(error_of([&] { b.import(options); }), "2^31 elements"));
  b.proto().mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  options = {};
  CHECK(contains(error_of([&] { b.import(options); }), "--input-shape x:1x3x224x224"));
}

TEST_CASE("a batch size that a model's shapes do not follow is explained") {
  OnnxBuilder b;
  b.input("x", {2, 6}).tensor("w", {3, 1}).ints("to", {4, 3}).output("y");
  b.node("Reshape", {"x", "to"}, {"r"});
  b.node("MatMul", {"r", "w"}, {"y"});
  CHECK(import_f64(b, 2).shape(0) == Shape{2, 6});
  const std::string error = error_of([&] { import_f64(b, 1); });
  CHECK(contains(error, "r_node (Reshape): shape [4,3] does not have the elements of [1,6]"));
  CHECK(contains(error, "exported for batch size 2 and is imported for 1"));
}

TEST_CASE("opsets outside the supported range are refused") {
  for (const auto& [opset, supported] : {std::pair(6, false), {7, true}, {27, true}, {28, false}}) {
    OnnxBuilder b(opset);
    b.input("x", {1, 2}).output("y");
    b.node("Relu", {"x"}, {"y"});
    CHECK((error_of([&] { b.import(); }) == "") == supported);
  }
}

TEST_CASE("a node without a name takes that of its first output") {
  OnnxBuilder b;
  b.input("x", {1, 2}).output("y");
  b.node("Relu", {"x"}, {"y"}).clear_name();
  const Graph graph = b.import();
  CHECK(graph.nodes.at(0).name == "y");
  CHECK(graph.value(graph.output("y")).name == "y");
  CHECK(graph.value(graph.output("y")).model_tensor == "y");
}

TEST_CASE("weights take our layouts and say how to undo them") {
  OnnxBuilder b;
  b.input("x", {-1, 4, 5, 6}).output("y");
  b.tensor("w", {2, 2, 3, 1}).tensor("d", {2, 1, 2, 3}).tensor("fc", {3, 24}).tensor("mm", {3, 7});
  set_int(b.node("Conv", {"x", "w"}, {"c"}), "group", 2);
  set_int(b.node("Conv", {"c", "d"}, {"e"}), "group", 2);
  b.node("Flatten", {"e"}, {"f"});
  b.ints("axes", {0}).tensor("wide", {16, 3});
  b.node("MatMul", {"f", "wide"}, {"g"});
  b.node("MatMul", {"g", "mm"}, {"y"});
  b.tensor("unread", {1 << 10});
  const Graph graph = import_f64(b);
  const Value* w = find_value(graph, "w");
  REQUIRE(w != nullptr);
  CHECK(w->role == Role::parameter);
  CHECK(w->shape == Shape{2, 3, 1, 2});
  CHECK(w->origin.model_shape == std::vector<int64_t>{2, 2, 3, 1});
  CHECK(w->origin.view_shape == Shape{2, 2, 3, 1});
  CHECK(std::vector(w->origin.perm.begin(), w->origin.perm.begin() + 4) == std::vector{0, 2, 3, 1});
  // Element [o,h,w,i] of ours is [o,i,h,w] of the model's.
  CHECK(w->data->reals()[1] == static_cast<double>(0.1f + 0.01f * 3));
  const Value* d = find_value(graph, "d");
  REQUIRE(d != nullptr);
  CHECK(d->shape == Shape{2, 3, 2});
  CHECK(d->origin.model_shape == std::vector<int64_t>{2, 1, 2, 3});
  CHECK(d->origin.view_shape == Shape{2, 2, 3});
  CHECK(std::vector(d->origin.perm.begin(), d->origin.perm.begin() + 3) == std::vector{1, 2, 0});
  const Value* mm = find_value(graph, "mm");
  REQUIRE(mm != nullptr);
  CHECK(mm->shape == Shape{7, 3});
  CHECK(mm->origin.perm[0] == 1);
  CHECK(count_ops(graph, Op::conv2d) == 1);
  CHECK(count_ops(graph, Op::depthwise_conv2d) == 1);
  CHECK(count_ops(graph, Op::linear) == 2);
  CHECK(find_value(graph, "unread") == nullptr);
}

TEST_CASE("a tensor used twice in one layout is one parameter") {
  OnnxBuilder b;
  b.input("x", {-1, 3, 4, 4}).output("y");
  b.tensor("w", {3, 3, 1, 1}).tensor("bias", {3}, -0.5f, 0.3f);
  b.node("Identity", {"w"}, {"tied"});
  b.node("Identity", {"bias"}, {"same"});
  b.node("Conv", {"x", "w", "bias"}, {"c"});
  b.node("Conv", {"c", "tied", "same"}, {"y"});
  const Graph graph = b.import();
  CHECK(parameters(graph).size() == 2);
}

TEST_CASE("a tensor used in two layouts is one parameter, the second layout computed") {
  for (const bool linear_first : {true, false}) {
    OnnxBuilder b;
    b.input("x", {-1, 3}).tensor("w", {3, 3}, -0.4f, 0.13f).output("y");
    auto& first = b.node("Gemm", {"x", "w"}, {"h"});
    if (linear_first) set_int(first, "transB", 1);
    auto& second = b.node("Gemm", {"h", "w"}, {"y"});
    if (!linear_first) set_int(second, "transB", 1);
    const Graph graph = import_f64(b);
    CHECK(parameters(graph).size() == 1);
    CHECK(count_ops(graph, Op::transpose) == 1);
    double w[3][3], h[2][3] = {}, y[2][3] = {};
    for (int i = 0; i < 9; ++i) w[i / 3][i % 3] = -0.4f + 0.13f * static_cast<float>(i);
    for (int n = 0; n < 2; ++n)
      for (int o = 0; o < 3; ++o)
        for (int i = 0; i < 3; ++i)
          h[n][o] += test_element(n * 3 + i) * (linear_first ? w[o][i] : w[i][o]);
    for (int n = 0; n < 2; ++n)
      for (int o = 0; o < 3; ++o)
        for (int i = 0; i < 3; ++i) y[n][o] += h[n][i] * (linear_first ? w[i][o] : w[o][i]);
    check_close(run(graph), std::vector<double>(&y[0][0], &y[0][0] + 6));
  }
}

TEST_CASE("a transposed initializer is the same parameter in another layout") {
  OnnxBuilder b;
  b.input("x", {-1, 4, 2}).tensor("w", {5, 2}).output("y");
  set_ints(b.node("Transpose", {"w"}, {"wt"}), "perm", {1, 0});
  b.node("MatMul", {"x", "wt"}, {"y"});
  const Graph graph = import_f64(b);
  REQUIRE(parameters(graph).size() == 1);
  const Value& w = *parameters(graph)[0];
  CHECK(w.shape == Shape{5, 2});
  CHECK(w.origin.perm == std::array<int32_t, kMaxRank>{0, 1, 2, 3, 4, 5});
  CHECK(count_ops(graph, Op::transpose) == 0);
  CHECK(graph.shape(graph.output("y")) == Shape{2, 4, 5});
}

TEST_CASE("a weight that is computed from others trains these; what has no gradient is refused") {
  OnnxBuilder b;
  b.input("x", {-1, 2, 3, 3}).tensor("v", {2, 2, 1, 1}).tensor("g", {2, 1, 1, 1}).output("y");
  b.node("Mul", {"v", "g"}, {"w"});
  b.node("Conv", {"x", "w"}, {"y"});
  const Graph graph = import_f64(b);
  REQUIRE(parameters(graph).size() == 2);
  CHECK(parameters(graph)[0]->origin.tensor == "v");
  CHECK(parameters(graph)[1]->origin.tensor == "g");
  OnnxBuilder hidden;
  hidden.input("x", {-1, 2, 3, 3}).tensor("v", {2, 2, 1, 1}).output("y");
  set_int(hidden.node("Cast", {"v"}, {"whole"}), "to", onnx::TensorProto::INT64);
  set_int(hidden.node("Cast", {"whole"}, {"w"}), "to", onnx::TensorProto::FLOAT);
  hidden.node("Conv", {"x", "w"}, {"y"});
  CHECK(contains(error_of([&] { hidden.import(); }),
                 "y_node (Conv): its weight 'w' is computed from tensors of which nothing says"));
}

TEST_CASE("chains of what is computed from parameters are followed once, and not without end") {
  OnnxBuilder doubled;
  doubled.input("x", {-1, 1}).output("y").tensor("a0", {}, 1e-30f);
  for (int i = 0; i < 60; ++i)
    doubled.node("Add", {"a" + std::to_string(i), "a" + std::to_string(i)},
                 {"a" + std::to_string(i + 1)});
  doubled.node("Add", {"x", "a60"}, {"y"});
  CHECK(parameters(import_f64(doubled)).empty());
  for (const int steps : {20, 5000}) {
    OnnxBuilder b;
    b.input("x", {-1, 2}).output("y").tensor("p0", {2, 2}).tensor("q", {2, 2});
    for (int i = 0; i < steps; ++i)
      b.node("Add", {"p" + std::to_string(i), "q"}, {"p" + std::to_string(i + 1)});
    b.node("MatMul", {"x", "p" + std::to_string(steps)}, {"y"});
    const std::string error = error_of([&] { b.import(); });
    CHECK((error.empty() || contains(error, "too many nodes, one after the other")));
    CHECK(error.empty() == (steps == 20));
  }
}

TEST_CASE("a table that ids look up is a parameter") {
  OnnxBuilder b;
  b.int_input("ids", {-1, 2}).output("y").tensor("table", {5, 3});
  b.node("Gather", {"table", "ids"}, {"y"});
  const Graph graph = import_f64(b);
  REQUIRE(parameters(graph).size() == 1);
  CHECK(parameters(graph).front()->name == "table");
}

TEST_CASE("a part of a parameter trains it, a number that a mask is made of is none") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y").tensor("places", {1, 9}).tensor("low", {}, -9, 0);
  b.tensor("seen", {4}, 0, 1).ints("from", {2}).ints("to", {6}).ints("axis", {1});
  b.proto().mutable_graph()->mutable_initializer(2)->set_name("onnx::Mul_3");
  b.node("Slice", {"places", "from", "to", "axis"}, {"part"});
  b.node("Add", {"x", "part"}, {"a"});
  b.node("Mul", {"onnx::Mul_3", "low"}, {"mask"});
  b.node("Add", {"a", "mask"}, {"y"});
  const Graph graph = import_f64(b);
  REQUIRE(parameters(graph).size() == 1);
  CHECK(parameters(graph)[0]->origin.tensor == "places");
}

TEST_CASE("a weight that is an input is read as it comes") {
  OnnxBuilder b;
  b.input("x", {-1, 2, 3, 3}).input("w", {2, 2, 1, 1}).output("y");
  b.node("Conv", {"x", "w"}, {"y"});
  ImportOptions options;
  options.batch = 0;
  b.proto()
      .mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(1);
  options.real = DType::f64;
  const Graph graph = b.import(options);
  std::vector<double> x, want;
  for (int64_t i = 0; i < 18; ++i) x.push_back(test_element(i));
  const std::vector<double> w = {1, 2, -3, 0.5};
  for (size_t o = 0; o < 2; ++o)
    for (size_t i = 0; i < 9; ++i) want.push_back(w[2 * o] * x[i] + w[2 * o + 1] * x[9 + i]);
  const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, {1, 2, 3, 3}, x)},
                                        {"w", HostTensor::of_reals(DType::f64, {2, 2, 1, 1}, w)}});
  check_close(values[graph.output("y")].reals(), want);
}

TEST_CASE("named operands are trained, generated ones and numbers are not") {
  OnnxBuilder b;
  b.input("x", {-1, 3}).output("y");
  b.tensor("shift", {3}).tensor("onnx::Add_7", {3}).tensor("123", {3}).tensor("one", {1}, 2.5f);
  b.node("Add", {"x", "shift"}, {"a"});
  b.node("Add", {"a", "onnx::Add_7"}, {"c"});
  b.node("Mul", {"c", "123"}, {"d"});
  b.node("Sub", {"one", "d"}, {"y"});
  const Graph graph = b.import();
  REQUIRE(parameters(graph).size() == 1);
  CHECK(parameters(graph)[0]->origin.tensor == "shift");
  const Node* scale = find_node(graph, Op::scale);
  REQUIRE(scale != nullptr);
  CHECK(scale->as<ScaleAttrs>().factor == -1);
  CHECK(scale->as<ScaleAttrs>().offset == 2.5);
}

TEST_CASE("batch normalization trains scale and bias, statistics are constant, epsilon is exact") {
  OnnxBuilder b(13);
  b.input("x", {-1, 3, 2, 2}).output("y");
  for (const char* name : {"gamma", "beta", "mean", "var"}) b.tensor(name, {3}, 0.5f, 0.25f);
  auto& node = b.node("BatchNormalization", {"x", "gamma", "beta", "mean", "var"}, {"y"});
  set_float(node, "epsilon", 1e-5f);
  const Graph graph = b.import();
  const Node* norm = find_node(graph, Op::batch_norm);
  REQUIRE(norm != nullptr);
  CHECK(norm->as<BatchNormAttrs>().epsilon == 1e-5);
  CHECK(graph.value(norm->inputs[1]).role == Role::parameter);
  CHECK(graph.value(norm->inputs[2]).role == Role::parameter);
  CHECK(graph.value(norm->inputs[3]).role == Role::constant);
  CHECK(graph.value(norm->inputs[4]).role == Role::constant);
}

TEST_CASE("what was exported in training mode is refused, not taken for evaluation") {
  const char* const says = "is in training mode";
  const auto norm = [](int opset, std::vector<std::string> outputs, int64_t mode) {
    OnnxBuilder b(opset);
    b.input("x", {-1, 3, 2, 2}).output("y");
    for (const char* name : {"gamma", "beta", "mean", "var"}) b.tensor(name, {3}, 0.5f, 0.25f);
    auto& node = b.node("BatchNormalization", {"x", "gamma", "beta", "mean", "var"}, outputs);
    if (mode >= 0) set_int(node, "training_mode", mode);
    return error_of([&] { b.import(); });
  };
  CHECK(norm(17, {"y"}, -1).empty());
  CHECK(norm(17, {"y"}, 0).empty());
  CHECK(contains(norm(17, {"y"}, 1), says));
  CHECK(contains(norm(17, {"y", "m", "v"}, 1), says));
  // There was no attribute before opset 14.
  CHECK(contains(norm(13, {"y", "m", "v", "sm", "sv"}, -1), says));
  CHECK(norm(13, {"y"}, -1).empty());

  const auto dropout = [](std::optional<float> ratio, std::optional<bool> mode) {
    OnnxBuilder b(13);
    b.input("x", {-1, 3}).output("y");
    if (ratio) b.tensor("ratio", {}, *ratio);
    if (mode) {
      auto* tensor = b.proto().mutable_graph()->add_initializer();
      tensor->set_name("mode");
      tensor->set_data_type(onnx::TensorProto::BOOL);
      tensor->add_int32_data(*mode);
    }
    b.node("Dropout", {"x", ratio ? "ratio" : "", mode ? "mode" : ""}, {"y"});
    return error_of([&] { b.import(); });
  };
  CHECK(dropout(std::nullopt, std::nullopt).empty());
  CHECK(dropout(0.5f, false).empty());
  CHECK(dropout(0.f, true).empty());
  CHECK(contains(dropout(0.5f, true), says));
  CHECK(contains(dropout(std::nullopt, true), says));  // by half
}

TEST_CASE("clip takes its bounds from attributes or inputs, either may be missing") {
  const double inf = std::numeric_limits<double>::infinity();
  OnnxBuilder old(10);
  old.input("x", {1, 2}).output("y");
  set_float(old.node("Clip", {"x"}, {"y"}), "max", 6);
  const Graph old_graph = old.import();
  CHECK(find_node(old_graph, Op::clamp)->as<ClampAttrs>().min == -inf);
  CHECK(find_node(old_graph, Op::clamp)->as<ClampAttrs>().max == 6);
  OnnxBuilder b;
  b.input("x", {1, 2}).tensor("low", {}, -0.5f).output("y");
  b.node("Clip", {"x", "low"}, {"y"});
  const Graph graph = b.import();
  CHECK(find_node(graph, Op::clamp)->as<ClampAttrs>().min == -0.5);
  CHECK(find_node(graph, Op::clamp)->as<ClampAttrs>().max == inf);
}

TEST_CASE("a convolution over one axis is one over images of height one") {
  OnnxBuilder b;
  b.input("x", {-1, 2, 7}).tensor("w", {3, 2, 3}, -0.3f, 0.07f).tensor("bias", {3}).output("y");
  auto& node = b.node("Conv", {"x", "w", "bias"}, {"y"});
  set_ints(node, "strides", {2});
  set_ints(node, "pads", {2, 1});
  set_ints(node, "dilations", {2});
  const Graph graph = import_f64(b, 1);
  REQUIRE(graph.shape(graph.output("y")) == Shape{1, 3, 3});
  std::vector<double> want;
  for (int o = 0; o < 3; ++o) {
    for (int p = 0; p < 3; ++p) {
      double sum = 0.1f + 0.01f * static_cast<float>(o);
      for (int c = 0; c < 2; ++c)
        for (int k = 0; k < 3; ++k) {
          const int at = p * 2 - 2 + k * 2;
          const float w = -0.3f + 0.07f * static_cast<float>((o * 2 + c) * 3 + k);
          if (at >= 0 && at < 7) sum += w * test_element(c * 7 + at);
        }
      want.push_back(sum);
    }
  }
  check_close(run(graph), want);
}

TEST_CASE("zero padding moves into the convolution, other padding stays") {
  for (const float value : {0.0f, 1.5f}) {
    OnnxBuilder b;
    b.input("x", {-1, 1, 3, 3}).tensor("w", {1, 1, 3, 3}).output("y");
    b.ints("pads", {0, 0, 1, 2, 0, 0, 0, 1}).tensor("value", {}, value);
    b.node("Pad", {"x", "pads", "value"}, {"p"});
    set_ints(b.node("Conv", {"p", "w"}, {"y"}), "pads", {0, 0, 1, 0});
    const Graph graph = import_f64(b, 1);
    CHECK(count_ops(graph, Op::concat) == (value == 0 ? 0 : 2));
    REQUIRE(graph.shape(graph.output("y")) == Shape{1, 1, 3, 4});
    std::vector<double> want;
    for (int r = 0; r < 3; ++r)
      for (int c = 0; c < 4; ++c) {
        double sum = 0;
        for (int i = 0; i < 9; ++i) {
          const int h = r + i / 3 - 1, w = c + i % 3 - 2;
          const bool inside = h >= 0 && h < 3 && w >= 0 && w < 3;
          const double x = inside ? test_element(h * 3 + w) : h < 3 ? value : 0;
          sum += x * static_cast<double>(0.1f + 0.01f * static_cast<float>(i));
        }
        want.push_back(sum);
      }
    check_close(run(graph), want);
  }
}

TEST_CASE("zero padding before an average counts as elements") {
  OnnxBuilder b;
  b.input("x", {-1, 1, 2, 2}).ints("pads", {0, 0, 1, 1, 0, 0, 0, 0}).output("y");
  b.node("Pad", {"x", "pads"}, {"p"});
  set_ints(b.node("AveragePool", {"p"}, {"y"}), "kernel_shape", {2, 2});
  const Graph graph = import_f64(b, 1);
  CHECK(count_ops(graph, Op::concat) == 0);
  const double a = test_element(0), c = test_element(1), d = test_element(2), e = test_element(3);
  check_close(run(graph), {a / 4, (a + c) / 4, (a + d) / 4, (a + c + d + e) / 4});
}

TEST_CASE("shape arithmetic is computed at import") {
  OnnxBuilder b;
  b.input("x", {-1, 6, 2, 2}).output("y");
  b.ints("zero", {0}).ints("one", {1}).ints("two", {2}).ints("minus", {-1});
  b.node("Shape", {"x"}, {"shape"});
  b.node("Gather", {"shape", "zero"}, {"n"});
  b.node("Gather", {"shape", "one"}, {"c"});
  b.node("Div", {"c", "two"}, {"half"});
  set_int(b.node("Concat", {"n", "two", "half", "minus"}, {"to"}), "axis", 0);
  b.node("Reshape", {"x", "to"}, {"r"});  // channel shuffle
  set_ints(b.node("Transpose", {"r"}, {"t"}), "perm", {0, 2, 1, 3});
  b.node("Reshape", {"t", "shape"}, {"y"});
  const Graph graph = import_f64(b, 3);
  CHECK(graph.shape(graph.output("y")) == Shape{3, 6, 2, 2});
  CHECK(graph.nodes.size() == 3);
  std::vector<double> want;
  for (int n = 0; n < 3; ++n)
    for (int c = 0; c < 6; ++c)
      for (int i = 0; i < 4; ++i) want.push_back(test_element((n * 6 + c % 2 * 3 + c / 2) * 4 + i));
  check_close(run(graph), want);
}

TEST_CASE("sums of pools that round up are exact") {
  OnnxBuilder b;
  b.input("x", {-1, 1, 1, 4}).output("y");
  auto& node = b.node("AveragePool", {"x"}, {"y"});
  set_ints(node, "kernel_shape", {1, 3});
  set_ints(node, "strides", {1, 2});
  set_int(node, "ceil_mode", 1);
  const double second = (test_element(2) + test_element(3)) / 2;
  const double first = (test_element(0) + test_element(1) + test_element(2)) / 3;
  check_close(run(import_f64(b, 1)), {first, second});
  set_int(node, "count_include_pad", 1);  // no padding to count
  check_close(run(import_f64(b, 1)), {first, second});
  set_ints(node, "pads", {0, 1, 0, 0});  // rounds to itself: 5 elements are 2 windows
  check_close(run(import_f64(b, 1)), {(test_element(0) + test_element(1)) / 3,
                                      (test_element(1) + test_element(2) + test_element(3)) / 3});
  auto* pads = b.proto().mutable_graph()->mutable_node(0)->mutable_attribute(4);
  pads->set_ints(1, 2);  // 6 elements: a third window would stand out
  check_close(run(import_f64(b, 1)),
              {test_element(0) / 3, (test_element(0) + test_element(1) + test_element(2)) / 3,
               (test_element(2) + test_element(3)) / 2});
}

TEST_CASE("outputs that are known are constants") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("shape").output("x").tensor("w", {2, 1}).output("w");
  b.node("Shape", {"x"}, {"shape"});
  const Graph graph = import_f64(b, 7);
  CHECK(graph.value(graph.output("shape")).data->ints() == std::vector<int64_t>{7, 4});
  CHECK(graph.output("x") == graph.input("x"));
  CHECK(graph.value(graph.output("w")).role == Role::constant);
}

TEST_CASE("graphs of every batch share the model's own bytes, in whatever layout") {
  OnnxBuilder b;
  b.input("x", {-1, 3, 8, 8}).tensor("w", {4, 3, 3, 3}).tensor("fc", {5, 4}).output("y");
  b.node("Conv", {"x", "w"}, {"c"});
  b.node("GlobalAveragePool", {"c"}, {"p"});
  b.node("Flatten", {"p"}, {"f"});
  b.node("Transpose", {"fc"}, {"t"});
  b.node("Gemm", {"f", "t"}, {"y"});
  const OnnxModel model = b.model();
  Graph one = model.import({.real = DType::f32, .batch = 1, .input_shapes = {}});
  Graph eight = model.import({.real = DType::f64, .batch = 8, .input_shapes = {}});
  to_channels_last(eight);
  for (const Graph* graph : {&one, &eight}) {
    int parameters = 0;
    for (const Value& value : graph->values) {
      if (value.role != Role::parameter) continue;
      ++parameters;
      for (const auto& tensor : model.proto().graph().initializer())
        if (tensor.name() == value.origin.tensor)
          CHECK(value.data->bytes() == static_cast<const void*>(tensor.float_data().data()));
      CHECK(in_model_order(*value.data, value.origin)->reals() == model.reals(value.origin.tensor));
    }
    CHECK(parameters == 2);
  }
}

TEST_CASE("a weight that is reshaped after its transpose is still the model's parameter") {
  OnnxBuilder b;
  b.input("x", {-1, 2, 3, 3}).tensor("w", {3, 3, 1, 2}).output("y");
  set_ints(b.node("Transpose", {"w"}, {"t"}), "perm", {3, 2, 0, 1});
  set_int(b.node("Conv", {"x", "t"}, {"y"}), "group", 2);
  const Graph graph = import_f64(b, 1);
  const auto is_parameter = [](const Value& value) { return value.role == Role::parameter; };
  CHECK(std::count_if(graph.values.begin(), graph.values.end(), is_parameter) == 1);
  std::vector<double> want(2);
  for (int c = 0; c < 2; ++c)
    for (int i = 0; i < 9; ++i)
      want[c] += test_element(c * 9 + i) *
                 static_cast<double>(0.1f + 0.01f * static_cast<float>(i * 2 + c));
  check_close(run(graph), want);
}

TEST_CASE("tensors of every readable type are read") {
  onnx::TensorProto half;
  half.set_data_type(onnx::TensorProto::FLOAT16);
  half.add_dims(6);
  for (int bits : {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000}) half.add_int32_data(bits);
  const KnownTensor h = read_tensor(half, "half");
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(h.data->reals() == std::vector<double>{1, -2, std::ldexp(1, -24), 65504, inf, 0});
  CHECK(std::signbit(h.data->reals()[5]));
  onnx::TensorProto raw;
  raw.set_data_type(onnx::TensorProto::FLOAT16);
  raw.add_dims(1);
  raw.set_raw_data(std::string("\x00\x3e", 2));
  CHECK(read_tensor(raw, "raw").data->reals() == std::vector<double>{1.5});
  raw.set_data_type(onnx::TensorProto::INT8);
  raw.set_dims(0, 2);
  CHECK(read_tensor(raw, "raw").data->ints() == std::vector<int64_t>{0, 62});
  raw.set_data_type(onnx::TensorProto::BOOL);
  CHECK(read_tensor(raw, "raw").data->ints() == std::vector<int64_t>{0, 1});
  raw.set_data_type(onnx::TensorProto::DOUBLE);
  CHECK_THROWS_AS(read_tensor(raw, "raw"), Error);
}

TEST_CASE("float attributes are the decimals that were meant") {
  CHECK(shortest_decimal(1e-5f) == 1e-5);
  CHECK(shortest_decimal(0.1f) == 0.1);
  CHECK(shortest_decimal(-6) == -6);
  CHECK(shortest_decimal(1.0f / 6) == 0.16666667);
  CHECK(std::isinf(shortest_decimal(HUGE_VALF)));
}

}  // namespace attune
