#pragma once

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// Arithmetic on real values as formulas say it: each operation emits nodes of the ONNX node.
struct Expression {
  const OnnxNode* node;
  ValueId id;

  Expression with(ValueId other) const { return {node, other}; }
};

// An input; what the exporter says is a parameter is one, whatever is computed from it.
inline Expression input(const OnnxNode& n, int i, Use use = Use::number) {
  const ValueId x = n.operand(i, use);
  return {&n, n.dims(i).empty() ? n.reshape(x, {}, "number") : x};
}

inline Expression apply(Op op, const Expression& x, AnyAttrs attrs = NoAttrs{}) {
  return x.with(x.node->emit(op, std::move(attrs), {x.id}, op_name(op)));
}
inline Expression apply(Op op, const Expression& a, const Expression& b) {
  return a.with(a.node->emit(op, NoAttrs{}, {a.id, b.id}, op_name(op)));
}
inline Expression number_like(const Expression& x, double number) {
  return x.with(x.node->number(number));
}
// factor * x + offset
inline Expression scaled(const Expression& x, double factor, double offset) {
  return apply(Op::scale, x, ScaleAttrs{factor, offset});
}

inline Expression operator+(const Expression& a, const Expression& b) {
  return apply(Op::add, a, b);
}
inline Expression operator-(const Expression& a, const Expression& b) {
  return apply(Op::sub, a, b);
}
inline Expression operator*(const Expression& a, const Expression& b) {
  return apply(Op::mul, a, b);
}
inline Expression operator/(const Expression& a, const Expression& b) {
  return apply(Op::div, a, b);
}
inline Expression operator+(const Expression& a, double b) { return scaled(a, 1, b); }
inline Expression operator-(const Expression& a, double b) { return scaled(a, 1, -b); }
inline Expression operator*(const Expression& a, double b) { return scaled(a, b, 0); }
inline Expression operator+(double a, const Expression& b) { return scaled(b, 1, a); }
inline Expression operator-(double a, const Expression& b) { return scaled(b, -1, a); }
inline Expression operator*(double a, const Expression& b) { return scaled(b, a, 0); }
inline Expression operator/(double a, const Expression& b) {
  return apply(Op::div, number_like(b, a), b);
}
inline Expression operator-(const Expression& x) { return scaled(x, -1, 0); }

// 1 where it holds, else 0.
inline Expression operator<(const Expression& a, const Expression& b) {
  return apply(Op::less, a, b);
}
inline Expression operator<(double a, const Expression& b) { return number_like(b, a) < b; }
inline Expression operator<(const Expression& a, double b) { return a < number_like(a, b); }
inline Expression equal(const Expression& a, const Expression& b) { return apply(Op::equal, a, b); }
inline Expression equal(const Expression& a, double b) { return equal(a, number_like(a, b)); }
inline Expression where(const Expression& condition, const Expression& a, const Expression& b) {
  return a.with(a.node->emit(Op::where, NoAttrs{}, {condition.id, a.id, b.id}, op_name(Op::where)));
}
inline Expression where(const Expression& condition, double a, const Expression& b) {
  return where(condition, number_like(b, a), b);
}
inline Expression where(const Expression& condition, const Expression& a, double b) {
  return where(condition, a, number_like(a, b));
}

inline Expression abs(const Expression& x) { return apply(Op::abs, x); }
inline Expression exp(const Expression& x) { return apply(Op::exp, x); }
inline Expression log(const Expression& x) { return apply(Op::log, x); }
inline Expression sqrt(const Expression& x) { return apply(Op::sqrt, x); }
inline Expression floor(const Expression& x) { return apply(Op::floor, x); }

}  // namespace attune
