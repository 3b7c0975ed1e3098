#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

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
  if (n.all_known()) {
    n.set(0, compute(binary, n.known(0, "operand"), n.known(1, "operand")));
    return;
  }
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
  if (n.all_known() || n.is_real(0)) return import_binary(n, Op::div, Binary::div);
  const ValueId quotient = n.emit(Op::div, NoAttrs{}, {n.value(0), n.value(1)}, "quotient");
  n.set(0, n.emit(Op::trunc, NoAttrs{}, {quotient}));
}

void import_Sum(OnnxNode& n) {
  if (n.input_count() == 1) return n.alias(0, 0);
  ValueId sum = n.operand(0);
  for (int i = 1; i < n.input_count(); ++i)
    sum =
        n.emit(Op::add, NoAttrs{}, {sum, n.operand(i)}, i + 1 < n.input_count() ? "sum" : nullptr);
  n.set(0, sum);
}

void import_Neg(OnnxNode& n) {
  if (n.is_known(0)) return n.set(0, compute(Unary::neg, n.known(0, "operand")));
  n.set(0, n.emit(Op::scale, ScaleAttrs{-1, 0}, {n.value(0)}));
}

}  // namespace attune
