#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  context.set(0, real_dtype(context, 0), context.shape(0));
  context.set(1, DType::mask, context.shape(0));
}

// dx = alpha * dy where 0 < y < 1, else 0
void gradient(GradientContext& g) {
  const ValueId masked = g.emit(Op::mask_grad, NoAttrs{}, {g.dy(), g.saved(1)}, "grad_clamp");
  const double alpha = g.node().as<HardSigmoidAttrs>().alpha;
  g.set(0, g.emit(Op::scale, ScaleAttrs{.factor = alpha}, {masked}, "grad"));
}

}  // namespace

const OpRules rules_hard_sigmoid = {infer, gradient};

}  // namespace attune
