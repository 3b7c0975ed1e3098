#include <doctest/doctest.h>

#include <cmath>

#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

Graph layer_norm(int axis, const std::vector<int64_t>& scale, bool bias) {
  OnnxBuilder b;
  b.input("x", {2, 3, 4}).output("y").tensor("gamma", scale, 0.5f, 0.1f);
  if (bias) b.tensor("beta", scale, -0.2f, 0.05f);
  auto& node = b.node("LayerNormalization", {"x", "gamma"}, {"y"});
  if (bias) node.add_input("beta");
  set_int(node, "axis", axis);
  set_float(node, "epsilon", 0.25f);
  ImportOptions options;
  options.real = DType::f64;
  options.batch = 2;
  Graph graph = b.import(options);
  graph.verify();
  return graph;
}

}  // namespace

TEST_CASE("a layer normalization is its definition, and trains scale and bias") {
  const struct {
    int axis;
    std::vector<int64_t> scale;
    bool bias;
    int size;  // elements that are normalised together
  } rows[] = {{-1, {4}, true, 4}, {1, {3, 4}, true, 12}, {2, {4}, false, 4}, {0, {4}, true, 24}};
  for (const auto& row : rows) {
    CAPTURE(row.axis);
    Graph graph = layer_norm(row.axis, row.scale, row.bias);
    std::vector<double> x(24), want(24);
    for (size_t i = 0; i < x.size(); ++i) x[i] = test_element(static_cast<int64_t>(i));
    const auto period = static_cast<size_t>(row.scale.size() == 2 ? 12 : 4);
    for (size_t from = 0; from < x.size(); from += static_cast<size_t>(row.size)) {
      double mean = 0, variance = 0;
      for (int i = 0; i < row.size; ++i) mean += x[from + i] / row.size;
      for (int i = 0; i < row.size; ++i) variance += std::pow(x[from + i] - mean, 2) / row.size;
      for (size_t i = from; i < from + row.size; ++i) {
        const double gamma = 0.5f + 0.1f * static_cast<float>(i % period);
        const double beta = row.bias ? -0.2f + 0.05f * static_cast<float>(i % period) : 0;
        want[i] = (x[i] - mean) / std::sqrt(variance + 0.25) * gamma + beta;
      }
    }
    const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, {2, 3, 4}, x)}});
    const std::vector<double> y = values[graph.output("y")].reals();
    for (size_t i = 0; i < want.size(); ++i) CHECK(std::fabs(y[i] - want[i]) < 1e-6);
    // A constant for the input, so that differences are of parameters alone; then of the input,
    // too.
    std::vector<ValueId> trained;
    Value& input = graph.value(graph.input("x"));
    input.role = Role::parameter;
    input.data = Data::of_reals(x);
    for (size_t v = 0; v < graph.values.size(); ++v)
      if (graph.values[v].role == Role::parameter) trained.push_back(static_cast<ValueId>(v));
    CHECK(trained.size() == (row.bias ? 3 : 2));
    const ValueId out = graph.output("y");
    graph.inputs.clear();
    graph.outputs.clear();
    test::check_gradients(graph, out, trained);
  }
}

}  // namespace attune
