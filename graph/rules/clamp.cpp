#include "graph/rules/checks.h"

namespace attune {
namespace {

void check_bounds(const InferContext& context) {
  const auto& attrs = context.attrs<ClampAttrs>();
  if (!(attrs.min <= attrs.max)) context.fail("clamp from {} to {}", attrs.min, attrs.max);
}

void infer(InferContext& context) {
  check_bounds(context);
  context.set(0, real_dtype(context, 0), context.shape(0));
  context.set(1, DType::mask, context.shape(0));
}

// dx = dy where min < y < max, else 0
void gradient(GradientContext& g) {
  g.set(0, g.emit(Op::mask_grad, NoAttrs{}, {g.dy(), g.saved(1)}, "grad"));
}

void infer_clamp_mask(InferContext& context) {
  check_bounds(context);
  real_dtype(context, 0);
  context.set(0, DType::mask, context.shape(0));
}

void infer_mask_grad(InferContext& context) {
  set_masked_grad(context, 1, real_dtype(context, 0), context.shape(0));
}

}  // namespace

const OpRules rules_clamp = {infer, gradient};
const OpRules rules_clamp_mask = {infer_clamp_mask, nullptr};
const OpRules rules_mask_grad = {infer_mask_grad, nullptr};

}  // namespace attune
