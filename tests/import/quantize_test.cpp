// Quantised models in floats: what is trained of them, and what is written back.
#include <doctest/doctest.h>

#include <cmath>

#include "graph/ir/interpret.h"
#include "graph/training/autodiff.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

void add_bytes(OnnxBuilder& b, const char* name, const std::vector<int64_t>& dims,
               const std::vector<int32_t>& values, int type) {
  auto* tensor = b.proto().mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(type);
  for (const int64_t d : dims) tensor->add_dims(d);
  for (const int32_t v : values) tensor->add_int32_data(v);
}

constexpr int kUint8 = 2, kInt8 = 3;

// x, quantised in steps of 0.5 from -1 on; times weights of steps of their own by row.
OnnxBuilder model() {
  OnnxBuilder b;
  b.input("x", {-1, 2}).output("y").tensor("x_scale", {}, 0.5f).tensor("w_scale", {2}, 0.5f, 0.5f);
  add_bytes(b, "x_zero", {}, {2}, kUint8);
  add_bytes(b, "w_q", {2, 2}, {1, -2, 3, 4}, kInt8);
  add_bytes(b, "w_zero", {2}, {0, 1}, kInt8);
  b.node("QuantizeLinear", {"x", "x_scale", "x_zero"}, {"q"});
  b.node("DequantizeLinear", {"q", "x_scale", "x_zero"}, {"f"});
  set_int(b.node("DequantizeLinear", {"w_q", "w_scale", "w_zero"}, {"w"}), "axis", 0);
  set_int(b.node("Gemm", {"f", "w"}, {"y"}), "transB", 1);
  return b;
}

}  // namespace

TEST_CASE("a quantised layer computes in floats, its inputs cut to their range, and trains") {
  Graph graph = model().import({.real = DType::f64, .batch = 2, .input_shapes = {}});
  graph.verify();
  const ValueId x = graph.input("x"), y = graph.output("y");
  // w = [[0.5, -1], [2, 3]]; -3 is below the range of x, 0.3 is not rounded.
  const std::vector<double> data = {0.3, 1, -3, 2};
  const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, {2, 2}, data)}});
  const std::vector<double> want = {0.15 - 1, 0.6 + 3, -0.5 - 2, -2 + 6};
  for (int i = 0; i < 4; ++i) CHECK(std::fabs(values[y].reals()[i] - want[i]) < 1e-9);

  graph.value(x).role = Role::parameter;
  graph.value(x).data = Data::of_reals(data);
  graph.inputs.clear();
  ValueId w = kNone;
  for (size_t v = 0; v < graph.values.size(); ++v)
    if (graph.values[v].role == Role::parameter && graph.values[v].name == "w")
      w = static_cast<ValueId>(v);
  REQUIRE(w != kNone);
  const ValueId dy = graph.add_constant("dy", {2, 2}, {1, 1, 1, 1});
  const auto gradients = differentiate(graph, {{y, dy}}, {x, w});
  graph.index();
  const auto results = interpret(graph, {});
  const std::vector<double> dx = results[gradients.at(x)].reals();
  CHECK(dx == std::vector<double>{2.5, 2, 0, 2});
}

TEST_CASE("export puts floats in the place of integers that were trained") {
  const OnnxModel before = model().model();
  CHECK(before.reals("w") == std::vector<double>{0.5, -1, 2, 3});
  const std::vector<double> trained = {0.25, -1, 2, 7};
  const std::string bytes = before.with_tensors({{"w", {2, 2}, trained}}, {});
  const OnnxModel after = OnnxModel::parse(bytes, "after.onnx");
  CHECK(after.reals("w") == trained);
  CHECK(after.proto().graph().node_size() == before.proto().graph().node_size() - 1);
  const Graph graph = after.import({.real = DType::f64, .batch = 1, .input_shapes = {}});
  const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, {1, 2}, {1, 1})}});
  CHECK(values[graph.output("y")].reals() == std::vector<double>{0.25 - 1, 2 + 7});
}

TEST_CASE("weights that are quantised as the model runs stay the floats that they are") {
  OnnxBuilder b;
  b.input("x", {-1, 2}).output("y").tensor("scale", {}, 0.5f).tensor("w", {3, 2}, 0.3f, 0.1f);
  add_bytes(b, "zero", {}, {0}, kInt8);
  b.node("QuantizeLinear", {"w", "scale", "zero"}, {"q"});
  b.node("DequantizeLinear", {"q", "scale", "zero"}, {"f"});
  set_int(b.node("Gemm", {"x", "f"}, {"y"}), "transB", 1);
  const Graph graph = b.import();
  const Node* node = find_node(graph, Op::linear);
  REQUIRE(node != nullptr);
  CHECK(graph.value(node->inputs[1]).role == Role::parameter);
  CHECK(graph.value(node->inputs[1]).origin.tensor == "w");
}

TEST_CASE("models that compute in integers are refused, and told what to give instead") {
  OnnxBuilder b;
  b.input("x", {-1, 2}).output("y");
  add_bytes(b, "w", {2, 2}, {1, 2, 3, 4}, kInt8);
  b.node("DynamicQuantizeLinear", {"x"}, {"q", "scale", "zero"});
  b.node("MatMulInteger", {"q", "w", "zero"}, {"y"});
  CHECK(contains(error_of([&] { b.import(); }), "quantise it as QuantizeLinear and"));
}

}  // namespace attune
