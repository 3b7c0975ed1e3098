#include "graph/rules/rules.h"

namespace attune {
namespace {

// Every gradient is summed over the axes along which its input was broadcast.
void set_reduced(GradientContext& g, int i, ValueId grad) {
  g.set(i, g.reduce_to(grad, g.graph().shape(g.x(i))));
}

}  // namespace

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

// dx = factor * dy
void gradient_scale(GradientContext& g) {
  const double factor = g.node().as<ScaleAttrs>().factor;
  g.set(0,
        factor == 1 ? g.dy() : g.emit(Op::scale, ScaleAttrs{.factor = factor}, {g.dy()}, "grad"));
}

// dx = dy / y / 2
void gradient_sqrt(GradientContext& g) {
  const ValueId quotient = g.emit(Op::div, NoAttrs{}, {g.dy(), g.y()}, "quotient");
  g.set(0, g.emit(Op::scale, ScaleAttrs{.factor = 0.5}, {quotient}, "grad"));
}

}  // namespace attune
