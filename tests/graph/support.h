#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/error.h"
#include "graph/ir/graph.h"
#include "graph/ir/interpret.h"

namespace attune::test {

// `count` different numbers between -range and range in a shuffled order, none at an integer or
// half.
std::vector<double> spread(size_t count, uint32_t seed, double range = 3);
// Different numbers between 0.5 and 2.
std::vector<double> positive(size_t count, uint32_t seed);

ValueId add_parameter(Graph& graph, const std::string& name, const Shape& shape,
                      std::vector<double> reals);
ValueId add_parameter(Graph& graph, const std::string& name, const Shape& shape, uint32_t seed);
ValueId add_state(Graph& graph, const std::string& name, const Shape& shape);

// The message of the Error that f throws, or "" where it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The derivative of sum(weights * y) with respect to each element of parameter x, by central
// differences.
std::vector<double> numeric_gradient(const Graph& graph, ValueId y,
                                     const std::vector<double>& weights, ValueId x);

// Differentiates sum(weights * y) for fixed, spread weights, checks the gradient of every wanted
// parameter against central differences, and that the graph holds nothing but what these need.
void check_gradients(Graph graph, ValueId y, const std::vector<ValueId>& wanted);

}  // namespace attune::test
