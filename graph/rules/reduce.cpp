#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer_reduce(InferContext& context) {
  const auto& attrs = context.attrs<ReduceAttrs>();
  const DType dtype = real_dtype(context, 0);
  Shape y = context.shape(0);
  if (attrs.axes < 0 || (attrs.axes >> y.rank) != 0)
    context.fail("axes {:#b} of {}", attrs.axes, shape_text(y));
  for (int i = 0; i < y.rank; ++i)
    if ((attrs.axes >> i & 1) != 0) y[i] = 1;
  context.set(0, dtype, y);
}

// dx = dy repeated (and, for a mean, divided by the number of elements)
void gradient_reduce(GradientContext& g) {
  const Shape x = g.graph().shape(g.x(0));
  const BroadcastAttrs attrs{.mean = g.node().as<ReduceAttrs>().mean};
  g.set(0, g.emit(Op::broadcast_to, attrs, {g.dy()}, "grad", &x));
}

void infer_broadcast_to(InferContext& context) {
  const DType dtype = real_dtype(context, 0);
  const Shape& x = context.shape(0);
  if (context.wanted() == nullptr) context.fail("no output shape is given");
  const Shape& y = *context.wanted();
  const int missing = y.rank - x.rank;
  bool fits = missing >= 0;
  for (int i = 0; fits && i < x.rank; ++i) fits = x[i] == 1 || x[i] == y[i + missing];
  if (!fits) context.fail("{} does not broadcast to {}", shape_text(x), shape_text(y));
  context.set(0, dtype, y);
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

}  // namespace

const OpRules rules_reduce = {infer_reduce, gradient_reduce};
const OpRules rules_broadcast_to = {infer_broadcast_to, gradient_broadcast_to};

}  // namespace attune
