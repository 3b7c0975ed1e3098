#include "graph/rules/rules.h"

namespace attune {

// dy' = dy where y was not clamped, else 0
// dw = dy'^T x, dbias = sum of dy' over N, dx = dy' w
void gradient_linear(GradientContext& g) {
  ValueId dy = g.dy();
  if (g.node().as<LinearAttrs>().clamps())
    dy = g.emit(Op::mask_grad, NoAttrs{}, {dy, g.saved(1)}, "grad_clamp");
  if (g.needs(1))
    g.set(1, g.emit(Op::matmul, MatmulAttrs{.transpose_a = true}, {dy, g.x(0)}, "grad_weight"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, g.graph().shape(g.x(2))));
  if (g.needs(0)) g.set(0, g.emit(Op::matmul, MatmulAttrs{}, {dy, g.x(1)}, "grad_input"));
}

// With A = a or its transpose and B = b or its: y = A B, dA = dy B^T, dB = A^T dy,
// and da = dA or its transpose, which is B dy^T; likewise db = dB or dy^T A.
void gradient_matmul(GradientContext& g) {
  const auto [ta, tb] = g.node().as<MatmulAttrs>();
  const ValueId a = g.x(0), b = g.x(1), dy = g.dy();
  if (g.needs(1))
    g.set(1, tb ? g.emit(Op::matmul, MatmulAttrs{true, ta}, {dy, a}, "grad_b")
                : g.emit(Op::matmul, MatmulAttrs{!ta, false}, {a, dy}, "grad_b"));
  if (g.needs(0))
    g.set(0, ta ? g.emit(Op::matmul, MatmulAttrs{tb, true}, {b, dy}, "grad_a")
                : g.emit(Op::matmul, MatmulAttrs{false, !tb}, {dy, b}, "grad_a"));
}

}  // namespace attune
