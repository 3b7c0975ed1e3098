#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const auto& attrs = context.attrs<MatmulAttrs>();
  const DType dtype = all_reals(context);
  check_min_rank(context, 0, "a", 2);
  const Shape& a = context.shape(0);
  const Shape& b = context.shape(1);
  const int rank = a.rank;
  check_rank(context, 1, "b", rank);
  for (int i = 0; i < rank - 2; ++i)
    if (a[i] != b[i]) context.fail("leading axes differ: {} and {}", a[i], b[i]);
  const int32_t m = a[rank - (attrs.transpose_a ? 1 : 2)];
  const int32_t k = a[rank - (attrs.transpose_a ? 2 : 1)];
  const int32_t k_of_b = b[rank - (attrs.transpose_b ? 1 : 2)];
  const int32_t n = b[rank - (attrs.transpose_b ? 2 : 1)];
  if (k != k_of_b) context.fail("inner sizes differ: {} and {}", k, k_of_b);
  Shape y = a;
  y[rank - 2] = m;
  y[rank - 1] = n;
  context.set(0, dtype, y);
}

// With A = a or its transpose and B = b or its: y = A B, dA = dy B^T, dB = A^T dy,
// and da = dA or its transpose, which is B dy^T; likewise db = dB or dy^T A.
void gradient(GradientContext& g) {
  const auto [ta, tb] = g.node().as<MatmulAttrs>();
  const ValueId a = g.x(0), b = g.x(1), dy = g.dy();
  if (g.needs(1))
    g.set(1, tb ? g.emit(Op::matmul, MatmulAttrs{true, ta}, {dy, a}, "grad_b")
                : g.emit(Op::matmul, MatmulAttrs{!ta, false}, {a, dy}, "grad_b"));
  if (g.needs(0))
    g.set(0, ta ? g.emit(Op::matmul, MatmulAttrs{tb, true}, {b, dy}, "grad_a")
                : g.emit(Op::matmul, MatmulAttrs{false, !tb}, {dy, b}, "grad_a"));
}

}  // namespace

const OpRules rules_matmul = {infer, gradient};

}  // namespace attune
