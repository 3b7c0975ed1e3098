#include "graph/rules/checks.h"
#include "graph/rules/window.h"

namespace attune {
namespace {

void check_attrs(const InferContext& context, const Conv2dAttrs& attrs, int32_t channels) {
  if (attrs.groups != 1 && attrs.groups != channels)
    context.fail("{} groups of {} channels", attrs.groups, channels);
  if (!(attrs.clamp_min <= attrs.clamp_max))
    context.fail("clamp from {} to {}", attrs.clamp_min, attrs.clamp_max);
}

void infer(InferContext& context) {
  const auto& attrs = context.attrs<Conv2dAttrs>();
  const DType dtype = all_reals(context);
  check_rank(context, 0, "x", 4);
  check_rank(context, 1, "w", 3);
  const Shape& x = context.shape(0);
  const Shape& w = context.shape(1);
  check_attrs(context, attrs, x[3]);
  if (w[2] != x[3]) context.fail("w has {} channels, where x has {}", w[2], x[3]);
  if (context.has(2)) check_shape(context, 2, "bias", {x[3]});
  const OutputSize size = window_output(context, attrs, x[1], x[2], w[0], w[1]);
  const Shape y = {x[0], size.h, size.w, x[3]};
  context.set(0, dtype, y);
  context.set(1, DType::mask, y);
}

// dy' = dy where y was not clamped, else 0; dw and dx from it, dbias = sum of dy' over N, H, W
void gradient(GradientContext& g) {
  Graph& graph = g.graph();
  const auto attrs = g.node().as<Conv2dAttrs>();
  const Shape w = graph.shape(g.x(1));
  const Conv2dAttrs sized = without_clamp(with_sizes(attrs, graph.shape(g.x(0)), w[0], w[1]));
  ValueId dy = g.dy();
  if (attrs.clamps()) dy = g.emit(Op::mask_grad, NoAttrs{}, {dy, g.saved(1)}, "grad_clamp");
  if (g.needs(1))
    g.set(1, g.emit(Op::depthwise_conv2d_grad_weight, sized, {g.x(0), dy}, "grad_weight"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, graph.shape(g.x(2))));
  if (g.needs(0))
    g.set(0, g.emit(Op::depthwise_conv2d_grad_input, sized, {dy, g.x(1)}, "grad_input"));
}

void infer_grad_input(InferContext& context) {
  const auto& attrs = context.attrs<Conv2dAttrs>();
  const DType dtype = same_reals(context, 0, 2);
  check_rank(context, 0, "dy", 4);
  check_rank(context, 1, "w", 3);
  check_input_size(context, attrs.input_h, attrs.input_w);
  const Shape& dy = context.shape(0);
  const Shape& w = context.shape(1);
  check_attrs(context, attrs, w[2]);
  const OutputSize size = window_output(context, attrs, attrs.input_h, attrs.input_w, w[0], w[1]);
  check_shape(context, 0, "dy", {dy[0], size.h, size.w, w[2]});
  set_masked_grad(context, 2, dtype, {dy[0], attrs.input_h, attrs.input_w, w[2]});
}

// x and dy may be narrower than those of the forward node: the same channels of both, gathered.
void infer_grad_weight(InferContext& context) {
  const auto& attrs = context.attrs<Conv2dAttrs>();
  const DType dtype = all_reals(context);
  check_rank(context, 0, "x", 4);
  check_rank(context, 1, "dy", 4);
  check_kernel_size(context, attrs.kernel_h, attrs.kernel_w);
  const Shape& x = context.shape(0);
  const OutputSize size = window_output(context, attrs, x[1], x[2], attrs.kernel_h, attrs.kernel_w);
  check_shape(context, 1, "dy", {x[0], size.h, size.w, x[3]});
  context.set(0, dtype, {attrs.kernel_h, attrs.kernel_w, x[3]});
}

}  // namespace

const OpRules rules_depthwise_conv2d = {infer, gradient};
const OpRules rules_depthwise_conv2d_grad_input = {infer_grad_input, nullptr};
const OpRules rules_depthwise_conv2d_grad_weight = {infer_grad_weight, nullptr};

}  // namespace attune
