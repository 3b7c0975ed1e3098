#include "graph/rules/rules.h"

namespace attune {

// dx = dy where min < y < max, else 0
void gradient_clamp(GradientContext& g) {
  g.set(0, g.emit(Op::mask_grad, NoAttrs{}, {g.dy(), g.saved(1)}, "grad"));
}

}  // namespace attune
