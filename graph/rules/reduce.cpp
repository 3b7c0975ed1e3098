#include "graph/rules/rules.h"

namespace attune {

// dx = dy repeated (and, for a mean, divided by the number of elements)
void gradient_reduce(GradientContext& g) {
  const Shape x = g.graph().shape(g.x(0));
  const BroadcastAttrs attrs{.mean = g.node().as<ReduceAttrs>().mean};
  g.set(0, g.emit(Op::broadcast_to, attrs, {g.dy()}, "grad", &x));
}

// dx = the sum of dy over the repeats (and, for a mean, divided by their number)
void gradient_broadcast_to(GradientContext& g) {
  const Shape x = g.graph().shape(g.x(0)), y = g.graph().shape(g.y());
  const int missing = y.rank - x.rank;
  ReduceAttrs attrs{.mean = g.node().as<BroadcastAttrs>().mean};
  for (int i = 0; i < y.rank; ++i)
    if (i < missing || x[i - missing] != y[i]) attrs.axes |= 1 << i;
  const ValueId sum = attrs.axes == 0 ? g.dy() : g.emit(Op::reduce, attrs, {g.dy()}, "grad");
  g.set(0, g.reshape(sum, x));
}

}  // namespace attune
