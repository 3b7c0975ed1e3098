#include "graph/import/common/known_math.h"
#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

// Whether input i is one number, that is not trained and adds no axes to the other input: then it
// is an attribute.
bool is_number(const OnnxNode& n, int i, Use use) {
  return n.is_known(i) && n.known(i, "operand").elements() == 1 && n.rank(i) <= n.rank(1 - i) &&
         !n.trains(i, use);
}

void import_binary(OnnxNode& n, Op op, Binary binary) {
  if (n.input_count() != 2) n.fail("it has {} inputs", n.input_count());
  if (n.all_fixed()) return n.set(0, compute(binary, n.known(0, "operand"), n.known(1, "operand")));
  const Use uses[] = {n.use_of(0, op), n.use_of(1, op)};
  for (int i = 0; i < 2; ++i) {
    // c / x has no attribute's form.
    if (!is_number(n, i, uses[i]) || (op == Op::div && i == 0)) continue;
    const double c = n.known_scalar(i, "operand");
    ScaleAttrs attrs;
    if (op == Op::add) attrs = {1, c};
    if (op == Op::sub) attrs = i == 1 ? ScaleAttrs{1, -c} : ScaleAttrs{-1, c};
    if (op == Op::mul) attrs = {c, 0};
    if (op == Op::div) attrs = {1 / c, 0};
    n.set(0, n.emit(Op::scale, attrs, {n.value(1 - i)}));
    return;
  }
  n.set(0, n.emit(op, NoAttrs{}, {n.operand(0, uses[0]), n.operand(1, uses[1])}));
}

}  // namespace

void import_Add(OnnxNode& n) { import_binary(n, Op::add, Binary::add); }
void import_Sub(OnnxNode& n) { import_binary(n, Op::sub, Binary::sub); }
void import_Mul(OnnxNode& n) { import_binary(n, Op::mul, Binary::mul); }

// Integers divide towards 0. Their quotients are exact as reals are, so no factor 1 / c is.
void import_Div(OnnxNode& n) {
  if (n.all_fixed() || n.is_real(0)) return import_binary(n, Op::div, Binary::div);
  n.set(0, apply(Op::trunc, input(n, 0) / input(n, 1)).id);
}

// The remainder has the sign of the divisor; with fmod, that of the dividend.
void import_Mod(OnnxNode& n) {
  const bool c_like = n.integer("fmod", 0) != 0;
  if (n.all_known() && c_like == n.is_real(0)) return import_binary(n, Op::div, Binary::mod);
  const Expression a = input(n, 0), b = input(n, 1);
  n.set(0, (a - b * apply(c_like ? Op::trunc : Op::floor, a / b)).id);
}

namespace {

// Of any number of inputs, two at a time.
void import_many(OnnxNode& n, Op op) {
  Expression y = input(n, 0, Use::operand);
  for (int i = 1; i < n.input_count(); ++i) y = apply(op, y, input(n, i, Use::operand));
  n.set(0, y.id);
}

// Exact where all are known, as sizes of shapes are.
void import_extreme(OnnxNode& n, Op op, Binary binary) {
  if (n.input_count() == 1) return n.alias(0, 0);
  if (!n.all_fixed()) return import_many(n, op);
  KnownTensor y = n.known(0, "operand");
  for (int i = 1; i < n.input_count(); ++i) y = compute(binary, y, n.known(i, "operand"));
  n.set(0, std::move(y));
}

// Whole powers and roots that are cheaper than the general one.
std::optional<Expression> short_power(const Expression& x, double exponent) {
  if (exponent == 1) return x;
  if (exponent == 2) return x * x;
  if (exponent == 3) return x * x * x;
  if (exponent == 0.5) return sqrt(x);
  if (exponent == -0.5) return 1 / sqrt(x);
  if (exponent == -1) return 1 / x;
  if (exponent == -2) return 1 / (x * x);
  if (exponent == 4) {
    const Expression square = x * x;
    return square * square;
  }
  return std::nullopt;
}

}  // namespace

void import_Min(OnnxNode& n) { import_extreme(n, Op::minimum, Binary::min); }
void import_Max(OnnxNode& n) { import_extreme(n, Op::maximum, Binary::max); }

void import_Sum(OnnxNode& n) {
  if (n.input_count() == 1) return n.alias(0, 0);
  import_many(n, Op::add);
}

void import_Mean(OnnxNode& n) {
  Expression sum = input(n, 0, Use::operand);
  for (int i = 1; i < n.input_count(); ++i) sum = sum + input(n, i, Use::operand);
  n.set(0, (sum * (1.0 / n.input_count())).id);
}

// Of the type of the base: what an integer's power has of a fraction is cut.
void import_Pow(OnnxNode& n) {
  const Expression a = input(n, 0);
  std::optional<Expression> y;
  const bool number = n.is_known(1) && n.known(1, "exponent").elements() == 1 &&
                      n.rank(1) <= n.rank(0) && !is_parameter(n.known(1, "exponent"), Use::number);
  if (number) y = short_power(a, n.known_scalar(1, "exponent"));
  if (!y) y = apply(Op::pow, a, input(n, 1, number ? Use::number : Use::operand));
  n.set(0, (n.is_real(0) ? *y : apply(Op::trunc, *y)).id);
}

}  // namespace attune
