#include "graph/rules/checks.h"

namespace attune {
namespace {

// dx = dy * sigmoid(x)
void gradient(GradientContext& g) {
  const ValueId slope = g.emit(Op::sigmoid, NoAttrs{}, {g.x(0)}, "slope");
  g.set(0, g.emit(Op::mul, NoAttrs{}, {g.dy(), slope}, "grad"));
}

}  // namespace

const OpRules rules_softplus = {infer_unary, gradient};

}  // namespace attune
