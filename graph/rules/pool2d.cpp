#include "graph/rules/window.h"

namespace attune {

// dx = the sum of dy / divisor over the windows that this element is in
void gradient_avg_pool2d(GradientContext& g) {
  const Pool2dAttrs attrs = with_sizes(g.node().as<Pool2dAttrs>(), g.graph().shape(g.x(0)));
  g.set(0, g.emit(Op::avg_pool2d_grad, attrs, {g.dy()}, "grad"));
}

// dx = the sum of dy over the windows whose first largest element this is
void gradient_max_pool2d(GradientContext& g) {
  const Pool2dAttrs attrs = with_sizes(g.node().as<Pool2dAttrs>(), g.graph().shape(g.x(0)));
  g.set(0, g.emit(Op::max_pool2d_grad, attrs, {g.dy(), g.saved(1)}, "grad"));
}

}  // namespace attune
