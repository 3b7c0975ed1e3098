#include "graph/rules/rules.h"

namespace attune {

// dx = factor * dy
void gradient_scale(GradientContext& g) {
  const double factor = g.node().as<ScaleAttrs>().factor;
  g.set(0,
        factor == 1 ? g.dy() : g.emit(Op::scale, ScaleAttrs{.factor = factor}, {g.dy()}, "grad"));
}

}  // namespace attune
