#include <algorithm>

#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const DType dtype = all_reals(context);
  const Shape& a = context.shape(0);
  const Shape& b = context.shape(1);
  Shape y;
  y.rank = std::max(a.rank, b.rank);
  for (int i = 0; i < y.rank; ++i) {  // from the last axis
    const int32_t size_a = i < a.rank ? a[a.rank - 1 - i] : 1;
    const int32_t size_b = i < b.rank ? b[b.rank - 1 - i] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1)
      context.fail("{} and {} do not broadcast", shape_text(a), shape_text(b));
    y[y.rank - 1 - i] = size_a == 1 ? size_b : size_a;
  }
  context.set(0, dtype, y);
}

// Every gradient is summed over the axes along which its input was broadcast.
void set_reduced(GradientContext& g, int i, ValueId grad) {
  g.set(i, g.reduce_to(grad, g.graph().shape(g.x(i))));
}

// da = dy, db = dy
void gradient_add(GradientContext& g) {
  if (g.needs(1)) set_reduced(g, 1, g.dy());
  if (g.needs(0)) set_reduced(g, 0, g.dy());
}

// da = dy, db = -dy
void gradient_sub(GradientContext& g) {
  if (g.needs(1)) {
    const ValueId sum = g.reduce_to(g.dy(), g.graph().shape(g.x(1)));
    g.set(1, g.emit(Op::scale, ScaleAttrs{.factor = -1}, {sum}, "grad_b"));
  }
  if (g.needs(0)) set_reduced(g, 0, g.dy());
}

// da = dy * b, db = dy * a
void gradient_mul(GradientContext& g) {
  if (g.needs(1)) set_reduced(g, 1, g.emit(Op::mul, NoAttrs{}, {g.dy(), g.x(0)}, "grad_b"));
  if (g.needs(0)) set_reduced(g, 0, g.emit(Op::mul, NoAttrs{}, {g.dy(), g.x(1)}, "grad_a"));
}

// da = dy / b, db = -(dy / b) * y
void gradient_div(GradientContext& g) {
  const ValueId quotient = g.emit(Op::div, NoAttrs{}, {g.dy(), g.x(1)}, "grad_a");
  if (g.needs(1)) {
    const ValueId product = g.emit(Op::mul, NoAttrs{}, {quotient, g.y()}, "grad_b");
    const ValueId sum = g.reduce_to(product, g.graph().shape(g.x(1)));
    g.set(1, g.emit(Op::scale, ScaleAttrs{.factor = -1}, {sum}, "grad_b_sign"));
  }
  if (g.needs(0)) set_reduced(g, 0, quotient);
}

}  // namespace

const OpRules rules_add = {infer, gradient_add};
const OpRules rules_sub = {infer, gradient_sub};
const OpRules rules_mul = {infer, gradient_mul};
const OpRules rules_div = {infer, gradient_div};

}  // namespace attune
