#include "graph/rules/checks.h"

namespace attune {
namespace {

// dx = dy * (1 - y^2)
void gradient(GradientContext& g) {
  g.set(0, g.emit(Op::tanh_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

}  // namespace

const OpRules rules_tanh = {infer_unary, gradient};
const OpRules rules_tanh_grad = {infer_binary_grad, nullptr};

}  // namespace attune
