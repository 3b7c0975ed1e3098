#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const auto& perm = context.attrs<TransposeAttrs>().perm;
  const DType dtype = real_dtype(context, 0);
  const Shape& x = context.shape(0);
  Shape y;
  y.rank = x.rank;
  unsigned seen = 0;
  for (int i = 0; i < x.rank; ++i) {
    if (perm[i] < 0 || perm[i] >= x.rank || (seen >> perm[i] & 1) != 0)
      context.fail("element {} of the permutation is {}", i, perm[i]);
    seen |= 1u << perm[i];
    y[i] = x[perm[i]];
  }
  context.set(0, dtype, y);
}

// dx = dy under the inverse permutation
void gradient(GradientContext& g) {
  const auto& perm = g.node().as<TransposeAttrs>().perm;
  TransposeAttrs inverse;
  for (int i = 0; i < g.graph().shape(g.x(0)).rank; ++i) inverse.perm[perm[i]] = i;
  g.set(0, g.emit(Op::transpose, inverse, {g.dy()}, "grad"));
}

}  // namespace

const OpRules rules_transpose = {infer, gradient};

}  // namespace attune
