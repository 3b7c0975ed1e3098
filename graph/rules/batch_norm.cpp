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

// The statistics are those of the batch, so that each element depends on all of its channel.
void gradient_batch_norm_train(GradientContext& g) {
  const auto attrs = g.node().as<BatchNormAttrs>();
  const ValueId x = g.x(0), gamma = g.x(1), weights = g.x(5), dy = g.dy();
  ValueId mean = kNone, var = kNone, dgamma = kNone, dbeta = kNone;
  if (g.needs(0) || g.needs(1)) {
    mean = g.saved(1), var = g.saved(2);
    dgamma = g.emit(Op::batch_norm_grad_gamma, attrs, {x, dy, mean, var}, "grad_gamma");
  }
  if (g.needs(0) || g.needs(2)) dbeta = g.reduce_to(dy, g.graph().shape(g.x(2)));
  if (g.needs(1)) g.set(1, dgamma);
  if (g.needs(2)) g.set(2, dbeta);
  if (g.needs(0))
    g.set(0, g.emit(Op::batch_norm_train_grad_input, attrs,
                    {dy, x, gamma, mean, var, dgamma, dbeta, weights}, "grad_input"));
}

}  // namespace attune
