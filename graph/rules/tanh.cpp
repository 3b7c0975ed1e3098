#include "graph/rules/rules.h"

namespace attune {

// dx = dy * (1 - y^2)
void gradient_tanh(GradientContext& g) {
  g.set(0, g.emit(Op::tanh_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

}  // namespace attune
