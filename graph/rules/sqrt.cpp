#include "graph/rules/checks.h"

namespace attune {
namespace {

// dx = dy / y / 2
void gradient(GradientContext& g) {
  const ValueId quotient = g.emit(Op::div, NoAttrs{}, {g.dy(), g.y()}, "quotient");
  g.set(0, g.emit(Op::scale, ScaleAttrs{.factor = 0.5}, {quotient}, "grad"));
}

}  // namespace

const OpRules rules_sqrt = {infer_unary, gradient};

}  // namespace attune
