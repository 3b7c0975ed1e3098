// The `attune` command with one more operator.
#include "cli/attune_main.h"
#include "graph/rules/custom.h"
#include "snake.h"

namespace {

void gradient(attune::GradientContext& g) {
  const double frequency = attune::custom_parameter(g.node(), 0);
  g.set(0, attune::emit_custom(g, kSnakeGrad, {g.dy(), g.x(0)}, {frequency}, "grad"));
}

}  // namespace

int main(int argc, char** argv) {
  attune::register_operator(
      {.op = &kSnake, .gradient = gradient, .attributes = {{"frequency", 1.0}}});
  attune::register_operator({.op = &kSnakeGrad});
  return attune::attune_main(argc, argv);
}
