// Functions of one number.
#include "graph/import/onnx/elementwise/expression.h"

namespace attune {

void import_Ceil(OnnxNode& n) { n.set(0, (-floor(-input(n, 0))).id); }
void import_Neg(OnnxNode& n) { n.set(0, (-input(n, 0)).id); }
void import_Reciprocal(OnnxNode& n) { n.set(0, (1 / input(n, 0)).id); }

void import_Tan(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, (apply(Op::sin, x) / apply(Op::cos, x)).id);
}

namespace {

Expression cosh(const Expression& x) { return 0.5 * (exp(x) + exp(-x)); }
Expression atanh(const Expression& x) { return 0.5 * log((1 + x) / (1 - x)); }

}  // namespace

void import_Cosh(OnnxNode& n) { n.set(0, cosh(input(n, 0)).id); }

// Near 0, the difference of two exponentials would lose what tanh keeps.
void import_Sinh(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, (apply(Op::tanh, x) * cosh(x)).id);
}

void import_Atanh(OnnxNode& n) { n.set(0, atanh(input(n, 0)).id); }

void import_Acosh(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, log(x + sqrt((x - 1) * (x + 1))).id);
}

// Near 0 by a form that has the slope 1 there, elsewhere by one that loses nothing far from 0.
void import_Asinh(OnnxNode& n) {
  const Expression x = input(n, 0), size = abs(x), root = sqrt(x * x + 1);
  const Expression near = 2 * atanh(x / (root + 1));
  const Expression far = apply(Op::sign, x) * log(size + root);
  n.set(0, where(size < 1, near, far).id);
}

}  // namespace attune
