// Comparisons, logic and choices. Booleans are 0 and 1.
#include <limits>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

constexpr auto kBool = ElementType::boolean;

// What `compare` makes of two inputs, or the exact result where both are known.
template <class F>
void import_comparison(OnnxNode& n, Binary known, F compare) {
  if (n.all_known())
    n.set(0, compute(known, n.known(0, "operand"), n.known(1, "operand")));
  else
    n.set(0, compare(input(n, 0), input(n, 1)).id, kBool);
}

void import_bits(OnnxNode& n, Binary op) {
  n.set(0, compute(op, n.known(0, "operand"), n.known(1, "operand")));
}

}  // namespace

using E = const Expression&;

void import_Equal(OnnxNode& n) {
  import_comparison(n, Binary::equal, [](E a, E b) { return equal(a, b); });
}
void import_Less(OnnxNode& n) {
  import_comparison(n, Binary::less, [](E a, E b) { return a < b; });
}
void import_Greater(OnnxNode& n) {
  import_comparison(n, Binary::greater, [](E a, E b) { return b < a; });
}
void import_LessOrEqual(OnnxNode& n) {
  import_comparison(n, Binary::less_or_equal,
                    [](E a, E b) { return apply(Op::less_or_equal, a, b); });
}
void import_GreaterOrEqual(OnnxNode& n) {
  import_comparison(n, Binary::greater_or_equal,
                    [](E a, E b) { return apply(Op::less_or_equal, b, a); });
}
void import_And(OnnxNode& n) {
  import_comparison(n, Binary::logical_and, [](E a, E b) { return a * b; });
}
void import_Or(OnnxNode& n) {
  import_comparison(n, Binary::logical_or, [](E a, E b) { return apply(Op::maximum, a, b); });
}
void import_Xor(OnnxNode& n) {
  import_comparison(n, Binary::logical_xor, [](E a, E b) { return 1 - equal(a, b); });
}

void import_Not(OnnxNode& n) {
  if (n.is_known(0)) return n.set(0, compute(Unary::logical_not, n.known(0, "operand")));
  n.set(0, (1 - input(n, 0)).id, kBool);
}

// NaN alone is not what it is.
void import_IsNaN(OnnxNode& n) {
  const Expression x = input(n, 0);
  n.set(0, (1 - equal(x, x)).id, kBool);
}

void import_IsInf(OnnxNode& n) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool above = n.integer("detect_positive", 1) != 0;
  const bool below = n.integer("detect_negative", 1) != 0;
  const Expression x = input(n, 0);
  if (above && below) return n.set(0, equal(abs(x), kInfinity).id, kBool);
  if (above || below) return n.set(0, equal(x, above ? kInfinity : -kInfinity).id, kBool);
  n.set(0, (x < -kInfinity).id, kBool);
}

void import_Where(OnnxNode& n) {
  if (n.all_known())
    return n.set(0, where(n.known(0, "condition"), n.known(1, "input"), n.known(2, "input")));
  const auto choice = [&](int i) {
    const Use use = count_elements(n.dims(i)) == 1 ? Use::number : Use::operand;
    return input(n, i, use);
  };
  n.set(0, where(Expression{&n, n.value(0)}, choice(1), choice(2)).id, n.type(1));
}

void import_BitwiseAnd(OnnxNode& n) { import_bits(n, Binary::bit_and); }
void import_BitwiseOr(OnnxNode& n) { import_bits(n, Binary::bit_or); }
void import_BitwiseXor(OnnxNode& n) { import_bits(n, Binary::bit_xor); }
void import_BitwiseNot(OnnxNode& n) { n.set(0, compute(Unary::bit_not, n.known(0, "operand"))); }
void import_BitShift(OnnxNode& n) {
  import_bits(n, n.text("direction", "") == "LEFT" ? Binary::shift_left : Binary::shift_right);
}

}  // namespace attune
