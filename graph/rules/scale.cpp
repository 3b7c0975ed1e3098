#include "graph/rules/checks.h"

namespace attune {
namespace {

// dx = factor * dy
void gradient(GradientContext& g) {
  const double factor = g.node().as<ScaleAttrs>().factor;
  g.set(0,
        factor == 1 ? g.dy() : g.emit(Op::scale, ScaleAttrs{.factor = factor}, {g.dy()}, "grad"));
}

}  // namespace

const OpRules rules_scale = {infer_unary, gradient};

}  // namespace attune
