#include "graph/rules/rules.h"

namespace attune {

// dx = dy under the inverse permutation
void gradient_transpose(GradientContext& g) {
  const auto& perm = g.node().as<TransposeAttrs>().perm;
  const Perm back = inverse(Perm(perm, perm + g.graph().shape(g.x(0)).rank));
  g.set(0, g.emit(Op::transpose, transpose_attrs(back), {g.dy()}, "grad"));
}

}  // namespace attune
