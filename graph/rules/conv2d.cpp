#include "graph/rules/checks.h"
#include "graph/rules/window.h"

namespace attune {
namespace {

void check_groups(const InferContext& context, int32_t groups, int32_t channels, const char* what) {
  if (groups < 1 || channels % groups != 0)
    context.fail("{} {} do not divide into {} groups", channels, what, groups);
}

void check_clamp(const InferContext& context, const Conv2dAttrs& attrs) {
  if (!(attrs.clamp_min <= attrs.clamp_max))
    context.fail("clamp from {} to {}", attrs.clamp_min, attrs.clamp_max);
}

void infer(InferContext& context) {
  const auto& attrs = context.attrs<Conv2dAttrs>();
  const DType dtype = all_reals(context);
  check_rank(context, 0, "x", 4);
  check_rank(context, 1, "w", 4);
  check_clamp(context, attrs);
  const Shape& x = context.shape(0);
  const Shape& w = context.shape(1);
  check_groups(context, attrs.groups, x[3], "input channels");
  check_groups(context, attrs.groups, w[0], "output channels");
  if (w[3] != x[3] / attrs.groups)
    context.fail("w has {} input channels, where x has {} in {} groups", w[3], x[3], attrs.groups);
  if (context.has(2)) check_shape(context, 2, "bias", {w[0]});
  const OutputSize size = window_output(context, attrs, x[1], x[2], w[1], w[2]);
  const Shape y = {x[0], size.h, size.w, w[0]};
  context.set(0, dtype, y);
  context.set(1, DType::mask, y);
}

// dy' = dy where y was not clamped, else 0
// dw = conv2d_grad_weight(x, dy'), dbias = sum of dy' over N, H, W, dx = conv2d_grad_input(dy', w)
void gradient(GradientContext& g) {
  Graph& graph = g.graph();
  const auto attrs = g.node().as<Conv2dAttrs>();
  const Shape w = graph.shape(g.x(1));
  const Conv2dAttrs sized = without_clamp(with_sizes(attrs, graph.shape(g.x(0)), w[1], w[2]));
  ValueId dy = g.dy();
  if (attrs.clamps()) dy = g.emit(Op::mask_grad, NoAttrs{}, {dy, g.saved(1)}, "grad_clamp");
  if (g.needs(1)) g.set(1, g.emit(Op::conv2d_grad_weight, sized, {g.x(0), dy}, "grad_weight"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, graph.shape(g.x(2))));
  if (g.needs(0)) g.set(0, g.emit(Op::conv2d_grad_input, sized, {dy, g.x(1)}, "grad_input"));
}

void infer_grad_input(InferContext& context) {
  const auto& attrs = context.attrs<Conv2dAttrs>();
  const DType dtype = same_reals(context, 0, 2);
  check_rank(context, 0, "dy", 4);
  check_rank(context, 1, "w", 4);
  check_input_size(context, attrs.input_h, attrs.input_w);
  const Shape& dy = context.shape(0);
  const Shape& w = context.shape(1);
  check_groups(context, attrs.groups, w[0], "output channels");
  const OutputSize size = window_output(context, attrs, attrs.input_h, attrs.input_w, w[1], w[2]);
  check_shape(context, 0, "dy", {dy[0], size.h, size.w, w[0]});
  const int64_t channels = static_cast<int64_t>(w[3]) * attrs.groups;
  if (channels > INT32_MAX) context.fail("{} input channels", channels);
  set_masked_grad(context, 2, dtype,
                  {dy[0], attrs.input_h, attrs.input_w, static_cast<int32_t>(channels)});
}

// x and dy may be narrower than those of the forward node: some channels of each, gathered.
void infer_grad_weight(InferContext& context) {
  const auto& attrs = context.attrs<Conv2dAttrs>();
  const DType dtype = all_reals(context);
  check_rank(context, 0, "x", 4);
  check_rank(context, 1, "dy", 4);
  check_kernel_size(context, attrs.kernel_h, attrs.kernel_w);
  const Shape& x = context.shape(0);
  const Shape& dy = context.shape(1);
  check_groups(context, attrs.groups, x[3], "input channels");
  check_groups(context, attrs.groups, dy[3], "output channels");
  const OutputSize size = window_output(context, attrs, x[1], x[2], attrs.kernel_h, attrs.kernel_w);
  check_shape(context, 1, "dy", {x[0], size.h, size.w, dy[3]});
  context.set(0, dtype, {dy[3], attrs.kernel_h, attrs.kernel_w, x[3] / attrs.groups});
}

}  // namespace

const OpRules rules_conv2d = {infer, gradient};
const OpRules rules_conv2d_grad_input = {infer_grad_input, nullptr};
const OpRules rules_conv2d_grad_weight = {infer_grad_weight, nullptr};

}  // namespace attune
