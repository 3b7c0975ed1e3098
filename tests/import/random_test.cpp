// Random numbers and dropout: their distributions, and what they depend on.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "graph/ir/interpret.h"
#include "graph/training/random_step.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

constexpr int kSize = 20000;

std::vector<double> ones() { return std::vector<double>(kSize, 1); }

// The output "y" of a model of x[20000], at a step where one is given.
std::vector<double> drawn(OnnxBuilder& b, ImportOptions options, int step = 0) {
  options.batch = kSize;
  Graph graph = b.import(options);
  if (step > 0) draw_by_step(graph);
  graph.verify();
  std::map<std::string, HostTensor> inputs;
  inputs["x"] = HostTensor::of_reals(options.real, {kSize}, ones());
  if (step > 0) inputs["step"] = HostTensor::of_ints(DType::i32, {1}, {step});
  return interpret(graph, inputs)[graph.output("y")].reals();
}

double mean(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}
double deviation(const std::vector<double>& x) {
  const double middle = mean(x);
  double sum = 0;
  for (const double v : x) sum += (v - middle) * (v - middle);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

}  // namespace

TEST_CASE("random tensors have the distribution that their node says") {
  OnnxBuilder normal;
  normal.input("x", {-1}).output("y");
  auto& like = normal.node("RandomNormalLike", {"x"}, {"y"});
  set_float(like, "mean", 3);
  set_float(like, "scale", 2);
  const auto y = drawn(normal, {});
  CHECK(std::fabs(mean(y) - 3) < 0.05);
  CHECK(std::fabs(deviation(y) - 2) < 0.05);

  OnnxBuilder uniform;
  uniform.input("x", {-1}).output("y");
  auto& node = uniform.node("RandomUniform", {}, {"u"});
  set_ints(node, "shape", {kSize});
  set_float(node, "low", -1);
  set_float(node, "high", 3);
  uniform.node("Mul", {"x", "u"}, {"y"});
  const auto u = drawn(uniform, {});
  CHECK(std::fabs(mean(u) - 1) < 0.05);
  CHECK(std::fabs(deviation(u) - 4 / std::sqrt(12.0)) < 0.05);
  CHECK(*std::min_element(u.begin(), u.end()) >= -1);
  CHECK(*std::max_element(u.begin(), u.end()) < 3);

  OnnxBuilder coin;
  coin.input("x", {-1}).output("y").tensor("share", {}, 0.3f);
  coin.node("Mul", {"x", "share"}, {"p"});
  coin.node("Bernoulli", {"p"}, {"y"});
  const auto c = drawn(coin, {});
  CHECK(std::fabs(mean(c) - 0.3) < 0.02);
  CHECK(std::all_of(c.begin(), c.end(), [](double v) { return v == 0 || v == 1; }));
}

TEST_CASE("what is drawn depends on node, seed and step, and on nothing else") {
  OnnxBuilder b;
  b.input("x", {-1}).output("y");
  b.node("RandomNormalLike", {"x"}, {"a"});
  b.node("RandomNormalLike", {"x"}, {"b"});
  b.node("Sub", {"a", "b"}, {"y"});
  ImportOptions options, other;
  other.seed = 1;
  const auto y = drawn(b, options, 7);
  CHECK(deviation(y) > 1);
  CHECK(y == drawn(b, options, 7));
  CHECK(y != drawn(b, options, 8));
  CHECK(y != drawn(b, other, 7));
}

TEST_CASE("dropout drops its share in training, and keeps the sum") {
  OnnxBuilder b;
  b.input("x", {-1}).output("y").tensor("ratio", {}, 0.2f);
  b.node("Dropout", {"x", "ratio"}, {"y"});
  ImportOptions options;
  CHECK(drawn(b, options) == ones());
  options.dropout = Dropout::kept;
  CHECK(drawn(b, options) == ones());
  options.dropout = Dropout::training;
  options.real = DType::f64;
  const auto y = drawn(b, options, 1);
  CHECK(std::fabs(mean(y) - 1) < 0.02);
  const auto dropped = std::count(y.begin(), y.end(), 0.0);
  CHECK(std::fabs(static_cast<double>(dropped) / kSize - 0.2) < 0.02);
  const double ratio = static_cast<double>(0.2f);
  for (const double v : y) CHECK_UNARY(v == 0 || std::fabs(v - 1 / (1 - ratio)) < 1e-12);

  OnnxBuilder all;
  all.input("x", {-1}).output("y").tensor("ratio", {}, 1);
  all.node("Dropout", {"x", "ratio"}, {"y"});
  CHECK(drawn(all, options, 1) == std::vector<double>(kSize, 0));
}

}  // namespace attune
