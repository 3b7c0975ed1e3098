#include "graph/rules/rules.h"

namespace attune {

// dtable[v] = the sum of dy[i] where ids[i] = v
void gradient_take(GradientContext& g) {
  const Shape table = g.graph().shape(g.x(0));
  if (g.needs(0))
    g.set(0, g.emit(Op::take_grad, NoAttrs{}, {g.dy(), g.x(1)}, "grad_table", &table));
}

}  // namespace attune
