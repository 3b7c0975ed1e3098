#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const auto& attrs = context.attrs<SliceAttrs>();
  const DType dtype = whole_dtype(context);
  check_axis(context, 0, attrs.axis);
  if (context.wanted() == nullptr) context.fail("no output shape is given");
  const Shape& y = *context.wanted();
  Shape expected = context.shape(0);
  expected[attrs.axis] = y[attrs.axis];
  if (!(y == expected)) context.fail("{} is no slice along axis {}", shape_text(y), attrs.axis);
  if (attrs.start < 0 ||
      static_cast<int64_t>(attrs.start) + y[attrs.axis] > context.shape(0)[attrs.axis])
    context.fail("elements {} to {} of axis {}", attrs.start,
                 static_cast<int64_t>(attrs.start) + y[attrs.axis] - 1, attrs.axis);
  context.set(0, dtype, y);
}

// dx = dy with zeros before and after it. The zeros are one element, repeated while they are
// needed: as a constant of their size they would take room in the plan.
void gradient(GradientContext& g) {
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

}  // namespace

const OpRules rules_slice = {infer, gradient};

}  // namespace attune
