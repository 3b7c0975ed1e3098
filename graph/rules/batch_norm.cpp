#include "graph/rules/checks.h"

namespace attune {
namespace {

// Vectors of the last axis' size at inputs `from` .. `to` - 1.
DType check(const InferContext& context, int from, int to) {
  const DType dtype = all_reals(context);
  check_min_rank(context, 0, "x", 1);
  for (int i = from; i < to; ++i)
    check_shape(context, i, "a per-channel input", {context.shape(0).last()});
  if (!(context.attrs<BatchNormAttrs>().epsilon >= 0))
    context.fail("epsilon {}", context.attrs<BatchNormAttrs>().epsilon);
  return dtype;
}

void infer(InferContext& context) {
  const DType dtype = check(context, 1, 5);
  context.set(0, dtype, context.shape(0));
}

// The statistics are constants: with s = 1 / sqrt(var + epsilon),
// dgamma = sum of dy * (x - mean) * s, dbeta = sum of dy, dx = dy * gamma * s
void gradient(GradientContext& g) {
  const auto attrs = g.node().as<BatchNormAttrs>();
  const ValueId x = g.x(0), gamma = g.x(1), mean = g.x(3), var = g.x(4), dy = g.dy();
  if (g.needs(1))
    g.set(1, g.emit(Op::batch_norm_grad_gamma, attrs, {x, dy, mean, var}, "grad_gamma"));
  if (g.needs(2)) g.set(2, g.reduce_to(dy, g.graph().shape(g.x(2))));
  if (g.needs(0))
    g.set(0, g.emit(Op::batch_norm_grad_input, attrs, {dy, gamma, var}, "grad_input"));
}

void infer_grad_input(InferContext& context) {
  const DType dtype = check(context, 1, 3);
  context.set(0, dtype, context.shape(0));
}

void infer_grad_gamma(InferContext& context) {
  const DType dtype = check(context, 2, 4);
  check_shape(context, 1, "dy", context.shape(0));
  context.set(0, dtype, {context.shape(0).last()});
}

}  // namespace

const OpRules rules_batch_norm = {infer, gradient};
const OpRules rules_batch_norm_grad_input = {infer_grad_input, nullptr};
const OpRules rules_batch_norm_grad_gamma = {infer_grad_gamma, nullptr};

}  // namespace attune
