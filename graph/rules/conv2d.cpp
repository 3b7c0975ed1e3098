#include "graph/rules/window.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// dy' = dy where y was not clamped, else 0
// dw = grad_weight(x, dy'), dbias = sum of dy' over N, H, W, dx = grad_input(dy', w)
void gradient(GradientContext& g, Op grad_weight, Op grad_input) {
  Graph& graph = g.graph();
  const auto attrs = g.node().as<Conv2dAttrs>();
  const Shape w = graph.shape(g.x(1));
  const int kernel = signature(g.node().op).place("KH").axis;
  const Conv2dAttrs sized =
      without_clamp(with_sizes(attrs, graph.shape(g.x(0)), w[kernel], w[kernel + 1]));
  ValueId dy = g.dy();
  if (attrs.clamps()) dy = g.emit(Op::mask_grad, NoAttrs{}, {dy, g.saved(1)}, "grad_clamp");
  if (g.needs(1)) g.set(1, g.emit(grad_weight, sized, {g.x(0), dy}, "grad_weight"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, graph.shape(g.x(2))));
  if (g.needs(0)) g.set(0, g.emit(grad_input, sized, {dy, g.x(1)}, "grad_input"));
}

}  // namespace

void gradient_conv2d(GradientContext& g) {
  gradient(g, Op::conv2d_grad_weight, Op::conv2d_grad_input);
}

void gradient_depthwise_conv2d(GradientContext& g) {
  gradient(g, Op::depthwise_conv2d_grad_weight, Op::depthwise_conv2d_grad_input);
}

// dw = grad_weight(dy, x), dx = conv2d(dy, w)
void gradient_conv2d_transpose(GradientContext& g) {
  const Shape w = g.graph().shape(g.x(1)), image = g.graph().shape(g.y());
  const auto attrs = with_sizes(g.node().as<Conv2dAttrs>(), image, w[1], w[2]);
  if (g.needs(1)) g.set(1, g.emit(Op::conv2d_grad_weight, attrs, {g.dy(), g.x(0)}, "grad_weight"));
  if (g.needs(0)) g.set(0, g.emit(Op::conv2d, attrs, {g.dy(), g.x(1)}, "grad_input"));
}

}  // namespace attune
