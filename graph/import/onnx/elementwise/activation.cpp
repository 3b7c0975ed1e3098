#include <cmath>
#include <limits>
#include <numbers>

#include "graph/import/onnx/elementwise/expression.h"

namespace attune {

void import_Relu(OnnxNode& n) { n.set(0, n.emit(Op::clamp, ClampAttrs{.min = 0}, {n.value(0)})); }

// min(max(x, lower), upper), the bounds being attributes before opset 11. Either may be missing.
void import_Clip(OnnxNode& n) {
  if ((n.has(1) && !n.is_known(1)) || (n.has(2) && !n.is_known(2))) {
    Expression y = input(n, 0);
    if (n.has(1)) y = apply(Op::maximum, y, input(n, 1));
    if (n.has(2)) y = apply(Op::minimum, y, input(n, 2));
    return n.set(0, y.id);
  }
  ClampAttrs attrs;
  attrs.min = n.has(1) ? n.known_scalar(1, "lower bound") : n.real("min", attrs.min);
  attrs.max = n.has(2) ? n.known_scalar(2, "upper bound") : n.real("max", attrs.max);
  // PyTorch writes "no bound" as the largest float.
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (attrs.min <= -kLargest) attrs.min = -std::numeric_limits<double>::infinity();
  if (attrs.max >= kLargest) attrs.max = std::numeric_limits<double>::infinity();
  if (attrs.min > attrs.max) attrs.min = attrs.max;
  n.set(0, n.emit(Op::clamp, attrs, {n.value(0)}));
}

void import_HardSigmoid(OnnxNode& n) {
  const HardSigmoidAttrs attrs{n.real("alpha", 0.2), n.real("beta", 0.5)};
  n.set(0, n.emit(Op::hard_sigmoid, attrs, {n.value(0)}));
}

void import_Gelu(OnnxNode& n) {
  const Expression x = input(n, 0);
  const std::string form = n.text("approximate", "none");
  if (form != "none" && form != "tanh") n.fail("approximate={}", form);
  const Expression share =
      form == "none"
          ? apply(Op::erf, x * std::sqrt(0.5))
          : apply(Op::tanh, std::sqrt(2 * std::numbers::inv_pi) * (x + 0.044715 * (x * x * x)));
  n.set(0, (0.5 * x * (1 + share)).id);
}

namespace {

// `above` where x > 0, else `below` of x. What is not chosen is computed of 0, so that it has no
// infinite slope for the choice to multiply by 0.
template <class F>
Expression by_sign(const Expression& x, const Expression& above, F below) {
  const Expression positive = 0 < x;
  return where(positive, above, below(where(positive, 0, x)));
}

Expression elu(const Expression& x, double alpha, double width) {
  return by_sign(x, x,
                 [=](const Expression& below) { return alpha * (exp(below * (1 / width)) - 1); });
}

}  // namespace

void import_Elu(OnnxNode& n) { n.set(0, elu(input(n, 0), n.real("alpha", 1), 1).id); }

void import_Celu(OnnxNode& n) {
  const double alpha = n.real("alpha", 1);
  n.set(0, elu(input(n, 0), alpha, alpha).id);
}

void import_Selu(OnnxNode& n) {
  const double alpha = n.real("alpha", 1.67326319217681884765625);
  const double gamma = n.real("gamma", 1.05070102214813232421875);
  n.set(0, (gamma * elu(input(n, 0), alpha, 1)).id);
}

// As PyTorch, the slope at 0 is that below.
void import_LeakyRelu(OnnxNode& n) {
  const double alpha = n.real("alpha", 0.01);
  const Expression x = input(n, 0);
  n.set(0, where(0 < x, x, alpha * x).id);
}

// A slope for each channel, [C,1,1], or whatever broadcasts to x.
void import_PRelu(OnnxNode& n) {
  const Expression x = input(n, 0), slope = input(n, 1, Use::weight);
  n.set(0, where(0 < x, x, slope * x).id);
}

void import_ThresholdedRelu(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, where(n.real("alpha", 1) < x, x, 0).id);
}

void import_Mish(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, (x * apply(Op::tanh, apply(Op::softplus, x))).id);
}

void import_Softsign(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, (x / (1 + abs(x))).id);
}

void import_Swish(OnnxNode& n) {
  const Expression x = input(n, 0);
  const double alpha = n.real("alpha", 1);
  n.set(0, (x * apply(Op::sigmoid, alpha == 1 ? x : alpha * x)).id);
}

// x towards 0 by a bias where |x| > lambd, else 0.
void import_Shrink(OnnxNode& n) {
  const double bound = n.real("lambd", 0.5), bias = n.real("bias", 0);
  const Expression x = input(n, 0);
  n.set(0, where(bound < x, x - bias, where(x < -bound, x + bias, 0)).id);
}

#define ONNX(name)
#define ONNX_SAME(name, op) \
  void import_##name(OnnxNode& n) { n.set(0, n.emit(Op::op, NoAttrs{}, {input(n, 0).id})); }
#include "graph/import/onnx/onnx_ops.def"
#undef ONNX

}  // namespace attune
