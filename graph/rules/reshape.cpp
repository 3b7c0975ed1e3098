#include "graph/rules/rules.h"

namespace attune {

// dx = dy in x's shape
void gradient_reshape(GradientContext& g) { g.set(0, g.reshape(g.dy(), g.graph().shape(g.x(0)))); }

}  // namespace attune
