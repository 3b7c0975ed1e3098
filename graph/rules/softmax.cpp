#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  check_min_rank(context, 0, "x", 1);
  infer_unary(context);
}

// dx = y * (dy - sum(dy * y)), the sum over the last axis
void gradient(GradientContext& g) {
  g.set(0, g.emit(Op::softmax_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

void infer_grad(InferContext& context) {
  check_min_rank(context, 0, "dy", 1);
  infer_binary_grad(context);
}

}  // namespace

const OpRules rules_softmax = {infer, gradient};
const OpRules rules_softmax_grad = {infer_grad, nullptr};

}  // namespace attune
