#include "graph/rules/checks.h"

namespace attune {
namespace {

// Any dtype: the bytes stay where they are.
void infer(InferContext& context) {
  if (context.wanted() == nullptr) context.fail("no output shape is given");
  const Shape& y = *context.wanted();
  if (y.elements() != context.shape(0).elements())
    context.fail("{} does not have the elements of {}", shape_text(y),
                 shape_text(context.shape(0)));
  context.set(0, context.dtype(0), y);
}

// dx = dy in x's shape
void gradient(GradientContext& g) { g.set(0, g.reshape(g.dy(), g.graph().shape(g.x(0)))); }

}  // namespace

const OpRules rules_reshape = {infer, gradient};

}  // namespace attune
