#include "graph/rules/rules.h"

namespace attune {

// dx = dy / y / 2
void gradient_sqrt(GradientContext& g) {
  const ValueId quotient = g.emit(Op::div, NoAttrs{}, {g.dy(), g.y()}, "quotient");
  g.set(0, g.emit(Op::scale, ScaleAttrs{.factor = 0.5}, {quotient}, "grad"));
}

}  // namespace attune
