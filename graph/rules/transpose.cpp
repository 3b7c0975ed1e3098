#include "graph/rules/rules.h"

namespace attune {

// dx = dy under the inverse permutation
void gradient_transpose(GradientContext& g) {
  const auto& perm = g.node().as<TransposeAttrs>().perm;
  TransposeAttrs inverse;
  for (int i = 0; i < g.graph().shape(g.x(0)).rank; ++i) inverse.perm[perm[i]] = i;
  g.set(0, g.emit(Op::transpose, inverse, {g.dy()}, "grad"));
}

}  // namespace attune
