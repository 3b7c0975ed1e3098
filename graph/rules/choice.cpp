#include "graph/rules/rules.h"

// What chooses one of its operands.
namespace attune {
namespace {

ValueId zero(GradientContext& g) { return g.graph().add_constant("zero", {}, {0.0}); }

// dy where `first` is the smaller one, half of it where both are equal.
ValueId share(GradientContext& g, ValueId smaller, ValueId larger, const char* suffix) {
  const ValueId less = g.emit(Op::less, NoAttrs{}, {smaller, larger}, "less");
  const ValueId equal = g.emit(Op::equal, NoAttrs{}, {smaller, larger}, "equal");
  const ValueId half = g.emit(Op::scale, ScaleAttrs{.factor = 0.5}, {equal}, "half");
  const ValueId part = g.emit(Op::add, NoAttrs{}, {less, half}, "share");
  return g.emit(Op::mul, NoAttrs{}, {g.dy(), part}, suffix);
}

void gradient_extreme(GradientContext& g, bool smallest) {
  for (const int i : {1, 0}) {
    if (!g.needs(i)) continue;
    const ValueId own = g.x(i), other = g.x(1 - i);
    const ValueId grad = smallest ? share(g, own, other, i == 0 ? "grad_a" : "grad_b")
                                  : share(g, other, own, i == 0 ? "grad_a" : "grad_b");
    g.set(i, g.reduce_to(grad, g.graph().shape(own)));
  }
}

}  // namespace

// da = dy where a < b, dy / 2 where a = b; db alike
void gradient_minimum(GradientContext& g) { gradient_extreme(g, true); }

// da = dy where a > b, dy / 2 where a = b; db alike
void gradient_maximum(GradientContext& g) { gradient_extreme(g, false); }

// da = condition ? dy : 0, db = condition ? 0 : dy; the condition, a step function, has none
void gradient_where(GradientContext& g) {
  const auto masked = [&](int i, ValueId yes, ValueId no, const char* suffix) {
    const ValueId grad = g.emit(Op::where, NoAttrs{}, {g.x(0), yes, no}, suffix);
    g.set(i, g.reduce_to(grad, g.graph().shape(g.x(i))));
  };
  if (g.needs(2)) masked(2, zero(g), g.dy(), "grad_b");
  if (g.needs(1)) masked(1, g.dy(), zero(g), "grad_a");
  if (g.needs(0)) {
    const Shape condition = g.graph().shape(g.x(0));
    g.set(0, g.emit(Op::broadcast_to, BroadcastAttrs{}, {zero(g)}, "grad_condition", &condition));
  }
}

// da = dy * b * a^(b - 1), 0 where b is 0; db = dy * y * log(a), 0 where a is not positive
void gradient_pow(GradientContext& g) {
  const ValueId a = g.x(0), b = g.x(1);
  if (g.needs(1)) {
    const ValueId log = g.emit(Op::log, NoAttrs{}, {a}, "log");
    const ValueId slope = g.emit(Op::mul, NoAttrs{}, {g.y(), log}, "slope_b");
    const ValueId positive = g.emit(Op::less, NoAttrs{}, {zero(g), a}, "positive");
    const ValueId safe = g.emit(Op::where, NoAttrs{}, {positive, slope, zero(g)}, "safe_b");
    const ValueId grad = g.emit(Op::mul, NoAttrs{}, {g.dy(), safe}, "grad_b");
    g.set(1, g.reduce_to(grad, g.graph().shape(b)));
  }
  if (g.needs(0)) {
    const ValueId lower = g.emit(Op::scale, ScaleAttrs{.offset = -1}, {b}, "lower");
    const ValueId power = g.emit(Op::pow, NoAttrs{}, {a, lower}, "power");
    const ValueId slope = g.emit(Op::mul, NoAttrs{}, {power, b}, "slope_a");
    const ValueId safe = g.emit(Op::where, NoAttrs{}, {b, slope, zero(g)}, "safe_a");
    const ValueId grad = g.emit(Op::mul, NoAttrs{}, {g.dy(), safe}, "grad_a");
    g.set(0, g.reduce_to(grad, g.graph().shape(a)));
  }
}

}  // namespace attune
