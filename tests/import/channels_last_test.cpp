// to_channels_last: what is left of the transposes, and that nothing else changes.
#include <doctest/doctest.h>

#include <cmath>

#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

std::vector<HostTensor> run(const Graph& graph) {
  std::map<std::string, HostTensor> inputs;
  for (const Port& port : graph.inputs) {
    std::vector<double> elements(graph.shape(port.value).elements());
    for (size_t i = 0; i < elements.size(); ++i)
      elements[i] = test_element(static_cast<int64_t>(i));
    inputs[port.name] = HostTensor::of_reals(graph.real, graph.shape(port.value), elements);
  }
  return interpret(graph, inputs);
}

// The tensor in the model's order of axes: undoes model_perm.
std::vector<double> as_model_has_it(const Value& value, const HostTensor& tensor) {
  Graph graph;
  graph.real = DType::f64;
  const ValueId x = graph.add_constant("x", value.shape, tensor.reals());
  TransposeAttrs attrs;
  for (int i = 0; i < value.shape.rank; ++i) attrs.perm[value.model_perm[i]] = i;
  const ValueId y = graph.emit(Op::transpose, attrs, {x}, "y");
  return interpret(graph, {})[y].reals();
}

// The parameter's elements in the order of the model's tensor, by its Origin.
std::vector<double> as_initializer(const Value& value) {
  const std::vector<double> reals = value.data->reals();
  std::vector<double> back(reals.size());
  const int rank = value.shape.rank;
  REQUIRE(value.origin.view_shape.rank == rank);
  for (size_t i = 0; i < back.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0;
    for (int axis = rank - 1; axis >= 0; --axis) {
      const int model_axis = value.origin.perm[axis];
      at += rest % value.shape[axis] * value.origin.view_shape.product(model_axis + 1, rank);
      rest /= value.shape[axis];
    }
    back[at] = reals[i];
  }
  return back;
}

// Imports with batch 2 in double, runs the pass, and checks that every tensor of the model and
// every initializer are what they were.
Graph convert(const OnnxBuilder& b) {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = 2;
  const Graph before = b.import(options);
  before.verify();
  Graph after = before;
  to_channels_last(after);
  after.verify();
  const auto old_values = run(before), new_values = run(after);
  for (size_t o = 0; o < before.outputs.size(); ++o) {
    const ValueId old_id = before.outputs[o].value, new_id = after.outputs[o].value;
    CHECK(after.shape(new_id) == before.shape(old_id));
    const auto want = old_values[old_id].reals(), got = new_values[new_id].reals();
    for (size_t i = 0; i < want.size(); ++i) CHECK(std::fabs(got[i] - want[i]) <= 1e-12);
  }
  int compared = 0;
  for (size_t n = 0; n < after.values.size(); ++n) {
    const Value& value = after.values[n];
    if (value.model_tensor.empty() || value.role != Role::temporary) continue;
    for (size_t m = 0; m < before.values.size(); ++m) {
      const Value& old = before.values[m];
      if (old.model_tensor != value.model_tensor || old.role != Role::temporary) continue;
      const auto want = as_model_has_it(old, old_values[m]);
      const auto got = as_model_has_it(value, new_values[n]);
      REQUIRE(got.size() == want.size());
      CAPTURE(value.model_tensor);
      for (size_t i = 0; i < want.size(); ++i) CHECK(std::fabs(got[i] - want[i]) <= 1e-12);
      ++compared;
    }
  }
  CHECK(compared > 0);
  for (size_t n = 0; n < before.values.size(); ++n)
    if (before.values[n].role == Role::parameter)
      CHECK(as_initializer(after.values[n]) == as_initializer(before.values[n]));
  return after;
}

OnnxBuilder image_model() {
  OnnxBuilder b;
  b.input("x", {-1, 3, 5, 4}).output("y");
  b.tensor("w1", {4, 3, 3, 3}, -0.5f, 0.011f).tensor("w2", {4, 4, 1, 1}, -0.3f, 0.05f);
  set_ints(b.node("Conv", {"x", "w1"}, {"c1"}), "pads", {1, 1, 1, 1});
  return b;
}

}  // namespace

TEST_CASE("a residual block runs channels last from end to end") {
  OnnxBuilder b = image_model();
  for (const char* name : {"gamma", "beta", "mean", "var"}) b.tensor(name, {4}, 0.5f, 0.25f);
  b.node("BatchNormalization", {"c1", "gamma", "beta", "mean", "var"}, {"n"});
  b.node("Relu", {"n"}, {"r"});
  b.node("Conv", {"r", "w2"}, {"c2"});
  b.node("HardSwish", {"c2"}, {"h"});
  b.node("Add", {"h", "r"}, {"s"});
  b.node("Sigmoid", {"s"}, {"t"});
  b.node("GlobalAveragePool", {"t"}, {"g"});
  b.node("Flatten", {"g"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 1);
  CHECK(graph.nodes[0].op == Op::transpose);
  CHECK(count_ops(graph, Op::reshape) == 1);
}

TEST_CASE("a residual from the input reads the input's one transpose") {
  OnnxBuilder b = image_model();
  b.tensor("w3", {3, 4, 1, 1});
  b.node("Conv", {"c1", "w3"}, {"c2"});
  b.node("Add", {"x", "c2"}, {"s"});
  b.node("GlobalAveragePool", {"s"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 1);
}

TEST_CASE("squeeze and excitation by linear layers costs reshapes only") {
  OnnxBuilder b = image_model();
  b.tensor("f1", {2, 4}).tensor("f2", {4, 2}).ints("image", {0, 4, 1, 1});
  b.node("ReduceMean", {"c1"}, {"g"});
  set_ints(*b.proto().mutable_graph()->mutable_node(1), "axes", {2, 3});
  set_int(*b.proto().mutable_graph()->mutable_node(1), "keepdims", 0);
  set_int(b.node("Gemm", {"g", "f1"}, {"a"}), "transB", 1);
  b.node("Relu", {"a"}, {"r"});
  set_int(b.node("Gemm", {"r", "f2"}, {"e"}), "transB", 1);
  b.node("HardSigmoid", {"e"}, {"hs"});
  b.node("Reshape", {"hs", "image"}, {"scale"});
  b.node("Mul", {"scale", "c1"}, {"m"});
  b.node("GlobalAveragePool", {"m"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 1);
}

TEST_CASE("operands of channels and images take the layout of what they meet") {
  OnnxBuilder b = image_model();
  b.tensor("channel", {4, 1, 1}).tensor("whole", {1, 4, 5, 4}).tensor("row", {4}, -1, 0.5f);
  b.tensor("twice", {4, 5, 1}, 0.3f, 0.1f).tensor("onnx::Mul_3", {4, 5, 4}, 1, 0.01f);
  b.node("Add", {"c1", "channel"}, {"a"});
  b.node("Mul", {"whole", "a"}, {"m"});
  b.node("Sub", {"m", "row"}, {"s"});
  b.node("Div", {"s", "twice"}, {"d"});
  b.node("Add", {"d", "twice"}, {"t"});
  b.node("Mul", {"t", "onnx::Mul_3"}, {"u"});
  b.node("GlobalMaxPool", {"u"}, {"y"});
  const Graph graph = convert(b);
  // The input's, and that of the parameter that two nodes read: one for both.
  CHECK(count_ops(graph, Op::transpose) == 2);
  for (const Value& value : graph.values)
    if (value.name == "channel") CHECK(value.shape == Shape{1, 1, 1, 4});
}

TEST_CASE("concat, slice and reduce change their axes") {
  OnnxBuilder b = image_model();
  b.node("Conv", {"c1", "w2"}, {"c2"});
  set_int(b.node("Concat", {"c1", "c2"}, {"cat"}), "axis", 1);
  set_int(b.node("Split", {"cat"}, {"left", "right"}), "axis", -3);
  b.ints("one", {1}).ints("three", {3}).ints("two", {2});
  b.node("Slice", {"left", "one", "three", "two"}, {"rows"});
  b.node("Slice", {"right", "one", "three", "two"}, {"rows2"});
  b.node("Add", {"rows", "rows2"}, {"sum"});
  auto& mean = b.node("ReduceMean", {"sum"}, {"y"});
  set_ints(mean, "axes", {3, 1});
  set_int(mean, "keepdims", 0);
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 1);
  CHECK(find_node(graph, Op::concat)->as<AxisAttrs>().axis == 3);
  CHECK(find_node(graph, Op::reduce)->as<ReduceAttrs>().axes == ((1 << 2) | (1 << 3)));
}

TEST_CASE("a flatten of an image keeps one transpose before it") {
  OnnxBuilder b = image_model();
  b.node("Relu", {"c1"}, {"r"});
  b.node("Flatten", {"r"}, {"f"});
  b.tensor("fc", {80, 3}, -0.4f, 0.003f);
  b.node("MatMul", {"f", "fc"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 2);
}

TEST_CASE("an output that is an image is given as the model has it") {
  OnnxBuilder b = image_model();
  b.output("c1").output("x");
  b.node("Tanh", {"c1"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 3);
  CHECK(graph.output("x") == graph.input("x"));
}

TEST_CASE("softmax over channels runs on the last axis, over rows behind a transpose") {
  for (const int axis : {1, 2}) {
    OnnxBuilder b = image_model();
    set_int(b.node("Softmax", {"c1"}, {"p"}), "axis", axis);
    b.node("GlobalAveragePool", {"p"}, {"y"});
    CHECK(count_ops(convert(b), Op::transpose) == (axis == 1 ? 1 : 2));
  }
}

TEST_CASE("a chain over one axis stays channels last") {
  OnnxBuilder b;
  b.input("x", {-1, 2, 9}).output("y");
  b.tensor("w1", {4, 2, 3}).tensor("w2", {4, 1, 3}, -0.2f, 0.06f);
  for (const char* name : {"gamma", "beta", "mean", "var"}) b.tensor(name, {4}, 0.5f, 0.25f);
  b.node("Conv", {"x", "w1"}, {"c1"});
  b.node("BatchNormalization", {"c1", "gamma", "beta", "mean", "var"}, {"n"});
  b.node("Relu", {"n"}, {"r"});
  set_ints(b.node("MaxPool", {"r"}, {"p"}), "kernel_shape", {2});
  set_int(b.node("Conv", {"p", "w2"}, {"c2"}), "group", 4);
  b.node("GlobalAveragePool", {"c2"}, {"g"});
  b.node("Flatten", {"g"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 1);
  CHECK(count_ops(graph, Op::depthwise_conv2d) == 1);
}

TEST_CASE("exchanged axes of a matrix product are attributes") {
  OnnxBuilder b;
  b.input("x", {-1, 3, 5}).output("y");
  set_ints(b.node("Transpose", {"x"}, {"t"}), "perm", {0, 2, 1});
  b.node("MatMul", {"x", "t"}, {"s"});
  b.node("Softmax", {"s"}, {"p"});
  b.node("MatMul", {"t", "p"}, {"y"});
  const Graph graph = convert(b);
  CHECK(count_ops(graph, Op::transpose) == 0);
}

TEST_CASE("an image of one channel needs no transpose") {
  OnnxBuilder b;
  b.input("x", {-1, 1, 6, 6}).tensor("w", {2, 1, 3, 3}).output("y");
  b.node("Conv", {"x", "w"}, {"c"});
  b.node("GlobalAveragePool", {"c"}, {"y"});
  CHECK(count_ops(convert(b), Op::transpose) == 0);
}

TEST_CASE("constants are folded in double, parameters are left alone") {
  Graph graph;
  const double c = 0.3;
  const ValueId x = graph.add_input("x", DType::f32, {1, 4});
  const ValueId p = graph.add_value({.name = "p",
                                     .dtype = DType::f32,
                                     .shape = {4},
                                     .role = Role::parameter,
                                     .data = Data::of_reals({1, 2, 3, 4})});
  const ValueId known = graph.add_constant("c", {4}, {c, 1, 2, 3});
  const ValueId s = graph.emit(Op::sigmoid, NoAttrs{}, {known}, "s");
  const ValueId sum =
      graph.emit(Op::add, NoAttrs{}, {x, graph.emit(Op::tanh, NoAttrs{}, {s}, "t")}, "z");
  graph.outputs.push_back({"y", graph.emit(Op::add, NoAttrs{}, {sum, p}, "y")});
  graph.index();
  const ValueId t = find_node(graph, Op::tanh)->outputs[0];
  fold_constants(graph);
  graph.verify();
  CHECK(count_ops(graph, Op::tanh) == 0);
  CHECK(count_ops(graph, Op::add) == 2);
  const Value& folded = graph.value(t);
  REQUIRE(folded.role == Role::constant);
  CHECK(folded.dtype == DType::f32);
  CHECK(std::fabs(folded.data->reals()[0] - std::tanh(1 / (1 + std::exp(-c)))) <= 1e-15);
}

}  // namespace attune
