#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const auto& attrs = context.attrs<LinearAttrs>();
  const DType dtype = all_reals(context);
  check_rank(context, 0, "x", 2);
  check_rank(context, 1, "w", 2);
  const Shape& x = context.shape(0);
  const Shape& w = context.shape(1);
  if (w[1] != x[1]) context.fail("w has {} input features, where x has {}", w[1], x[1]);
  if (context.has(2)) check_shape(context, 2, "bias", {w[0]});
  if (!(attrs.clamp_min <= attrs.clamp_max))
    context.fail("clamp from {} to {}", attrs.clamp_min, attrs.clamp_max);
  context.set(0, dtype, {x[0], w[0]});
  context.set(1, DType::mask, {x[0], w[0]});
}

// dy' = dy where y was not clamped, else 0
// dw = dy'^T x, dbias = sum of dy' over N, dx = dy' w
void gradient(GradientContext& g) {
  ValueId dy = g.dy();
  if (g.node().as<LinearAttrs>().clamps())
    dy = g.emit(Op::mask_grad, NoAttrs{}, {dy, g.saved(1)}, "grad_clamp");
  if (g.needs(1))
    g.set(1, g.emit(Op::matmul, MatmulAttrs{.transpose_a = true}, {dy, g.x(0)}, "grad_weight"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, g.graph().shape(g.x(2))));
  if (g.needs(0)) g.set(0, g.emit(Op::matmul, MatmulAttrs{}, {dy, g.x(1)}, "grad_input"));
}

}  // namespace

const OpRules rules_linear = {infer, gradient};

}  // namespace attune
