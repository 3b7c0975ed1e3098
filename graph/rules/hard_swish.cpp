#include "graph/rules/checks.h"

namespace attune {
namespace {

// dx = dy * (0 where x <= -3, 1 where x >= 3, else (2 x + 3) / 6)
void gradient(GradientContext& g) {
  g.set(0, g.emit(Op::hard_swish_grad, NoAttrs{}, {g.dy(), g.x(0)}, "grad"));
}

}  // namespace

const OpRules rules_hard_swish = {infer_unary, gradient};
const OpRules rules_hard_swish_grad = {infer_binary_grad, nullptr};

}  // namespace attune
