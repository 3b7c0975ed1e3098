#include "graph/rules/rules.h"

namespace attune {

// dx = dy * (0 where x <= -3, 1 where x >= 3, else (2 x + 3) / 6)
void gradient_hard_swish(GradientContext& g) {
  g.set(0, g.emit(Op::hard_swish_grad, NoAttrs{}, {g.dy(), g.x(0)}, "grad"));
}

}  // namespace attune
