#include <numbers>

#include "graph/rules/rules.h"

// Functions of one number: the slope, times dy.
namespace attune {
namespace {

void set_product(GradientContext& g, ValueId slope) {
  g.set(0, g.emit(Op::mul, NoAttrs{}, {g.dy(), slope}, "grad"));
}

}  // namespace

// dx = dy * y
void gradient_exp(GradientContext& g) { set_product(g, g.y()); }

// dx = dy / x
void gradient_log(GradientContext& g) {
  g.set(0, g.emit(Op::div, NoAttrs{}, {g.dy(), g.x(0)}, "grad"));
}

// dx = dy * 2 / sqrt(pi) * exp(-x^2)
void gradient_erf(GradientContext& g) {
  const ValueId square = g.emit(Op::mul, NoAttrs{}, {g.x(0), g.x(0)}, "square");
  const ValueId minus = g.emit(Op::scale, ScaleAttrs{.factor = -1}, {square}, "minus");
  const ValueId bell = g.emit(Op::exp, NoAttrs{}, {minus}, "bell");
  const ScaleAttrs height{.factor = 2 * std::numbers::inv_sqrtpi};
  set_product(g, g.emit(Op::scale, height, {bell}, "slope"));
}

// dx = dy * sign(x)
void gradient_abs(GradientContext& g) {
  set_product(g, g.emit(Op::sign, NoAttrs{}, {g.x(0)}, "slope"));
}

// dx = dy * cos(x)
void gradient_sin(GradientContext& g) {
  set_product(g, g.emit(Op::cos, NoAttrs{}, {g.x(0)}, "slope"));
}

// dx = dy * -sin(x)
void gradient_cos(GradientContext& g) {
  const ValueId sine = g.emit(Op::sin, NoAttrs{}, {g.x(0)}, "sine");
  set_product(g, g.emit(Op::scale, ScaleAttrs{.factor = -1}, {sine}, "slope"));
}

}  // namespace attune
