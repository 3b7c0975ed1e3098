#include "graph/rules/rules.h"

namespace attune {

// dx = dy * sigmoid(x)
void gradient_softplus(GradientContext& g) {
  const ValueId slope = g.emit(Op::sigmoid, NoAttrs{}, {g.x(0)}, "slope");
  g.set(0, g.emit(Op::mul, NoAttrs{}, {g.dy(), slope}, "grad"));
}

}  // namespace attune
