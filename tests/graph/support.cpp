#include "tests/graph/support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "graph/passes/passes.h"
#include "graph/training/autodiff.h"

namespace attune::test {
namespace {

// std::shuffle differs between libraries.
void shuffle(std::vector<double>& values, uint32_t seed) {
  std::mt19937 random(seed);
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
}

double weighted_sum(const Graph& graph, ValueId y, const std::vector<double>& weights,
                    const std::map<std::string, HostTensor>& inputs) {
  const std::vector<double> values = interpret(graph, inputs)[y].reals();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += weights[i] * values[i];
  return sum;
}

double largest(const std::vector<double>& values) {
  double result = 0;
  for (double v : values) result = std::max(result, std::fabs(v));
  return result;
}

}  // namespace

std::vector<double> spread(size_t count, uint32_t seed, double range) {
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = range * (2 * (static_cast<double>(i) + 0.37) / static_cast<double>(count) - 1);
  shuffle(values, seed);
  return values;
}

std::vector<double> positive(size_t count, uint32_t seed) {
  std::vector<double> values = spread(count, seed, 0.75);
  for (double& v : values) v += 1.25;
  return values;
}

ValueId add_parameter(Graph& graph, const std::string& name, const Shape& shape,
                      std::vector<double> reals) {
  const ValueId id = graph.add_constant(name, shape, std::move(reals));
  graph.value(id).role = Role::parameter;
  return id;
}

ValueId add_parameter(Graph& graph, const std::string& name, const Shape& shape, uint32_t seed) {
  return add_parameter(graph, name, shape, spread(static_cast<size_t>(shape.elements()), seed));
}

ValueId add_state(Graph& graph, const std::string& name, const Shape& shape) {
  Value value;
  value.name = name;
  value.dtype = graph.real;
  value.shape = shape;
  value.role = Role::state;
  return graph.add_value(value);
}

std::vector<double> numeric_gradient(const Graph& graph, ValueId y,
                                     const std::vector<double>& weights, ValueId x) {
  constexpr double kStep = 1e-5;
  const Value& value = graph.value(x);
  std::vector<double> gradient;
  const std::vector<double> reals = value.data->reals();
  for (size_t i = 0; i < reals.size(); ++i) {
    const auto at = [&](double step) {
      std::vector<double> moved = reals;
      moved[i] += step;
      return weighted_sum(graph, y, weights,
                          {{value.name, HostTensor::of_reals(value.dtype, value.shape, moved)}});
    };
    gradient.push_back((at(kStep) - at(-kStep)) / (2 * kStep));
  }
  return gradient;
}

void check_gradients(Graph graph, ValueId y, const std::vector<ValueId>& wanted) {
  REQUIRE(graph.real == DType::f64);
  graph.verify();
  const Graph forward = graph;
  const Shape shape = graph.shape(y);
  const std::vector<double> weights = spread(static_cast<size_t>(shape.elements()), 99, 2);
  const ValueId dy = graph.add_constant("dy", shape, weights);
  const auto gradients = differentiate(graph, {{y, dy}}, wanted);
  graph.verify();
  REQUIRE(gradients.size() == wanted.size());

  graph.outputs.push_back({"y", y});
  for (const auto& [id, gradient] : gradients)
    graph.outputs.push_back({"grad " + graph.value(id).name, gradient});
  graph.verify();
  Graph pruned = graph;
  remove_dead(pruned);
  CHECK(pruned.text() == graph.text());

  const std::vector<HostTensor> values = interpret(graph, {});
  for (ValueId id : wanted) {
    CAPTURE(graph.value(id).name);
    const std::vector<double> analytic = values[gradients.at(id)].reals();
    const std::vector<double> numeric = numeric_gradient(forward, y, weights, id);
    REQUIRE(analytic.size() == numeric.size());
    const double scale = std::max(largest(analytic), largest(numeric));
    CHECK(scale > 1e-3);
    for (size_t i = 0; i < analytic.size(); ++i) {
      CAPTURE(i);
      CHECK(std::fabs(analytic[i] - numeric[i]) <= 1e-6 * scale);
    }
  }
}

}  // namespace attune::test
