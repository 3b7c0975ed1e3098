#include "graph/rules/rules.h"

namespace attune {

// dx = alpha * dy where 0 < y < 1, else 0
void gradient_hard_sigmoid(GradientContext& g) {
  const ValueId masked = g.emit(Op::mask_grad, NoAttrs{}, {g.dy(), g.saved(1)}, "grad_clamp");
  const double alpha = g.node().as<HardSigmoidAttrs>().alpha;
  g.set(0, g.emit(Op::scale, ScaleAttrs{.factor = alpha}, {masked}, "grad"));
}

}  // namespace attune
