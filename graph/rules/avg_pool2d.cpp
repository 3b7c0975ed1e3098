#include "graph/rules/checks.h"
#include "graph/rules/window.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, "x", 4);
  const Shape& x = context.shape(0);
  const OutputSize size = window_output(context, context.attrs<Pool2dAttrs>(), x[1], x[2]);
  context.set(0, dtype, {x[0], size.h, size.w, x[3]});
}

// dx = the sum of dy / divisor over the windows that this element is in
void gradient(GradientContext& g) {
  const Pool2dAttrs attrs = with_sizes(g.node().as<Pool2dAttrs>(), g.graph().shape(g.x(0)));
  g.set(0, g.emit(Op::avg_pool2d_grad, attrs, {g.dy()}, "grad"));
}

void infer_grad(InferContext& context) {
  const auto& attrs = context.attrs<Pool2dAttrs>();
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, "dy", 4);
  check_input_size(context, attrs.input_h, attrs.input_w);
  const Shape& dy = context.shape(0);
  const OutputSize size = window_output(context, attrs, attrs.input_h, attrs.input_w);
  check_shape(context, 0, "dy", {dy[0], size.h, size.w, dy[3]});
  context.set(0, dtype, {dy[0], attrs.input_h, attrs.input_w, dy[3]});
}

}  // namespace

const OpRules rules_avg_pool2d = {infer, gradient};
const OpRules rules_avg_pool2d_grad = {infer_grad, nullptr};

}  // namespace attune
