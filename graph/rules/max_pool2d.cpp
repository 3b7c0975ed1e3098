#include "graph/rules/checks.h"
#include "graph/rules/window.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, "x", 4);
  const Shape& x = context.shape(0);
  const OutputSize size = window_output(context, context.attrs<Pool2dAttrs>(), x[1], x[2]);
  const Shape y = {x[0], size.h, size.w, x[3]};
  context.set(0, dtype, y);
  context.set(1, DType::i32, y);
}

// dx = the sum of dy over the windows whose first largest element this is
void gradient(GradientContext& g) {
  const Pool2dAttrs attrs = with_sizes(g.node().as<Pool2dAttrs>(), g.graph().shape(g.x(0)));
  g.set(0, g.emit(Op::max_pool2d_grad, attrs, {g.dy(), g.saved(1)}, "grad"));
}

void infer_grad(InferContext& context) {
  const auto& attrs = context.attrs<Pool2dAttrs>();
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, "dy", 4);
  check_input_size(context, attrs.input_h, attrs.input_w);
  const Shape& dy = context.shape(0);
  const OutputSize size = window_output(context, attrs, attrs.input_h, attrs.input_w);
  check_shape(context, 0, "dy", {dy[0], size.h, size.w, dy[3]});
  check_dtype(context, 1, "argmax", DType::i32);
  check_shape(context, 1, "argmax", dy);
  context.set(0, dtype, {dy[0], attrs.input_h, attrs.input_w, dy[3]});
}

}  // namespace

const OpRules rules_max_pool2d = {infer, gradient};
const OpRules rules_max_pool2d_grad = {infer_grad, nullptr};

}  // namespace attune
