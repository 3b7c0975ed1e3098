#include "graph/rules/rules.h"

namespace attune {

// dx = y * (dy - sum(dy * y)), the sum over the last axis
void gradient_softmax(GradientContext& g) {
  g.set(0, g.emit(Op::softmax_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

}  // namespace attune
