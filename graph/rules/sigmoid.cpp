#include "graph/rules/rules.h"

namespace attune {

// dx = dy * y * (1 - y)
void gradient_sigmoid(GradientContext& g) {
  g.set(0, g.emit(Op::sigmoid_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

}  // namespace attune
