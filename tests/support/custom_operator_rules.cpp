#include "graph/rules/custom.h"
#include "tests/support/custom_operators.h"

namespace attune::test {
namespace {

void snake_gradient(GradientContext& g) {
  const double strength = custom_parameter(g.node(), 0);
  const std::vector<ValueId> of = {g.dy(), g.x(0), g.x(1)};
  if (g.needs(1)) g.set(1, emit_custom(g, kSnakeGradA, of, {strength}, "grad_a"));
  if (g.needs(0)) g.set(0, emit_custom(g, kSnakeGrad, of, {strength}, "grad"));
}

}  // namespace

void register_test_operators() {
  register_operator({.op = &kSnake, .gradient = snake_gradient, .attributes = {{"strength", 1}}});
  for (const CustomOperator* op : {&kSnakeGrad, &kSnakeGradA, &kCentre})
    register_operator({.op = op});
}

}  // namespace attune::test
