#include "graph/rules/rules.h"

namespace attune {

// A gradient of the table would be as large as the vocabulary: only frozen tables are looked up.
void gradient_take(GradientContext& g) {
  throw_error("take '{}': the table that ids look up cannot be trained", g.node().name);
}

}  // namespace attune
