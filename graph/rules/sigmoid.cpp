#include "graph/rules/checks.h"

namespace attune {
namespace {

// dx = dy * y * (1 - y)
void gradient(GradientContext& g) {
  g.set(0, g.emit(Op::sigmoid_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

}  // namespace

const OpRules rules_sigmoid = {infer_unary, gradient};
const OpRules rules_sigmoid_grad = {infer_binary_grad, nullptr};

}  // namespace attune
