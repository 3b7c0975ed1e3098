#include <limits>

#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const int axis = context.attrs<AxisAttrs>().axis;
  const DType dtype = whole_dtype(context);
  check_axis(context, 0, axis);
  Shape y = context.shape(0);
  int64_t size = 0;
  for (size_t i = 0; i < context.node().inputs.size(); ++i) {
    const Shape& x = context.shape(static_cast<int>(i));
    Shape expected = y;
    if (x.rank == y.rank) expected[axis] = x[axis];
    if (!(x == expected))
      context.fail("input {} differs from input 0 in more than axis {}", i, axis);
    size += x[axis];
  }
  if (size > std::numeric_limits<int32_t>::max()) context.fail("axis {} is too long", axis);
  y[axis] = static_cast<int32_t>(size);
  context.set(0, dtype, y);
}

// dx_i = the slice of dy that x_i became
void gradient(GradientContext& g) {
  SliceAttrs attrs{.axis = g.node().as<AxisAttrs>().axis};
  for (size_t i = 0; i < g.node().inputs.size(); ++i) {
    const Shape x = g.graph().shape(g.x(static_cast<int>(i)));
    if (g.needs(static_cast<int>(i)))
      g.set(static_cast<int>(i), g.emit(Op::slice, attrs, {g.dy()}, "grad", &x));
    attrs.start += x[attrs.axis];
  }
}

}  // namespace

const OpRules rules_concat = {infer, gradient};

}  // namespace attune
