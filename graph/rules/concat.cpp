#include "graph/rules/rules.h"

namespace attune {

// dx_i = the slice of dy that x_i became
void gradient_concat(GradientContext& g) {
  SliceAttrs attrs{.axis = g.node().as<AxisAttrs>().axis};
  for (size_t i = 0; i < g.node().inputs.size(); ++i) {
    const Shape x = g.graph().shape(g.x(static_cast<int>(i)));
    if (g.needs(static_cast<int>(i)))
      g.set(static_cast<int>(i), g.emit(Op::slice, attrs, {g.dy()}, "grad", &x));
    attrs.start += x[attrs.axis];
  }
}

}  // namespace attune
