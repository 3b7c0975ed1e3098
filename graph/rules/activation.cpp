#include "graph/rules/rules.h"

namespace attune {

// dx = dy where min < y < max, else 0
void gradient_clamp(GradientContext& g) {
  g.set(0, g.emit(Op::mask_grad, NoAttrs{}, {g.dy(), g.saved(1)}, "grad"));
}

// dx = alpha * dy where 0 < y < 1, else 0
void gradient_hard_sigmoid(GradientContext& g) {
  const ValueId masked = g.emit(Op::mask_grad, NoAttrs{}, {g.dy(), g.saved(1)}, "grad_clamp");
  const double alpha = g.node().as<HardSigmoidAttrs>().alpha;
  g.set(0, g.emit(Op::scale, ScaleAttrs{.factor = alpha}, {masked}, "grad"));
}

// dx = dy * (0 where x <= -3, 1 where x >= 3, else (2 x + 3) / 6)
void gradient_hard_swish(GradientContext& g) {
  g.set(0, g.emit(Op::hard_swish_grad, NoAttrs{}, {g.dy(), g.x(0)}, "grad"));
}

// dx = dy * y * (1 - y)
void gradient_sigmoid(GradientContext& g) {
  g.set(0, g.emit(Op::sigmoid_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

// dx = dy * (1 - y^2)
void gradient_tanh(GradientContext& g) {
  g.set(0, g.emit(Op::tanh_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

// dx = dy * sigmoid(x)
void gradient_softplus(GradientContext& g) {
  const ValueId slope = g.emit(Op::sigmoid, NoAttrs{}, {g.x(0)}, "slope");
  g.set(0, g.emit(Op::mul, NoAttrs{}, {g.dy(), slope}, "grad"));
}

// dx = dy - softmax(x) * sum(dy), the sum over the last axis
void gradient_log_softmax(GradientContext& g) {
  const int last = g.graph().shape(g.x(0)).rank - 1;
  const ValueId sum = g.emit(Op::reduce, ReduceAttrs{.axes = 1 << last}, {g.dy()}, "sum");
  const ValueId y = g.emit(Op::softmax, NoAttrs{}, {g.x(0)}, "softmax");
  const ValueId part = g.emit(Op::mul, NoAttrs{}, {y, sum}, "part");
  g.set(0, g.emit(Op::sub, NoAttrs{}, {g.dy(), part}, "grad"));
}

// dx = y * (dy - sum(dy * y)), the sum over the last axis
void gradient_softmax(GradientContext& g) {
  g.set(0, g.emit(Op::softmax_grad, NoAttrs{}, {g.dy(), g.y()}, "grad"));
}

}  // namespace attune
