#include "graph/rules/rules.h"

namespace attune {

// dx = dy with zeros before and after it. The zeros are one element, repeated while they are
// needed: as a constant of their size they would take room in the plan.
void gradient_slice(GradientContext& g) {
  Graph& graph = g.graph();
  const SliceAttrs slice = g.node().as<SliceAttrs>();
  const Shape x = graph.shape(g.x(0));
  const int32_t end = slice.start + graph.shape(g.y())[slice.axis];
  ValueId zero = kNone;
  const auto zeros = [&](int32_t size) {
    if (zero == kNone) zero = graph.add_constant("zero", {}, {0.0});
    Shape shape = x;
    shape[slice.axis] = size;
    return g.emit(Op::broadcast_to, BroadcastAttrs{}, {zero}, "zeros", &shape);
  };
  std::vector<ValueId> parts;
  if (slice.start > 0) parts.push_back(zeros(slice.start));
  parts.push_back(g.dy());
  if (end < x[slice.axis]) parts.push_back(zeros(x[slice.axis] - end));
  g.set(0, parts.size() == 1 ? g.dy() : g.emit(Op::concat, AxisAttrs{slice.axis}, parts, "grad"));
}

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
