#include "graph/rules/rules.h"

namespace attune {

// The statistics are constants: with s = 1 / sqrt(var + epsilon),
// dgamma = sum of dy * (x - mean) * s, dbeta = sum of dy, dx = dy * gamma * s
void gradient_batch_norm(GradientContext& g) {
  const auto attrs = g.node().as<BatchNormAttrs>();
  const ValueId x = g.x(0), gamma = g.x(1), mean = g.x(3), var = g.x(4), dy = g.dy();
  if (g.needs(1))
    g.set(1, g.emit(Op::batch_norm_grad_gamma, attrs, {x, dy, mean, var}, "grad_gamma"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, g.graph().shape(g.x(2))));
  if (g.needs(0))
    g.set(0, g.emit(Op::batch_norm_grad_input, attrs, {dy, gamma, var}, "grad_input"));
}

}  // namespace attune
