#include "graph/rules/rules.h"

namespace attune {

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
