// The p-norms: roots of sums of powers. Where all is zero, the gradient is zero, too.
#include "graph/import/onnx/layers/pool.h"

namespace attune {
namespace {

double read_p(const OnnxNode& n) {
  const auto p = static_cast<double>(n.integer("p", 2));
  if (p < 1) n.fail("p {}", p);
  return p;
}

// |x|^p
ValueId powers(const OnnxNode& n, ValueId x, double p) {
  if (p == 2) return n.emit(Op::mul, NoAttrs{}, {x, x}, "powers");
  x = n.emit(Op::abs, NoAttrs{}, {x}, "sizes");
  return p == 1 ? x : n.emit(Op::pow, NoAttrs{}, {x, n.number(p)}, "powers");
}

// 1 where a sum is 0, so that it can be divided by, and roots have a derivative.
ValueId not_zero(const OnnxNode& n, ValueId sum) {
  const ValueId zero = n.emit(Op::equal, NoAttrs{}, {sum, n.number(0)}, "is_zero");
  return n.emit(Op::where, NoAttrs{}, {zero, n.number(1), sum}, "not_zero");
}

ValueId root(const OnnxNode& n, ValueId x, double p) {
  if (p == 1) return x;
  if (p == 2) return n.emit(Op::sqrt, NoAttrs{}, {x}, "root");
  return n.emit(Op::pow, NoAttrs{}, {x, n.number(1 / p)}, "root");
}

// sum^(1/p), as sum / s * s^(1/p) where s = sum is not 0
ValueId norm_of(const OnnxNode& n, ValueId sum, double p) {
  if (p == 1) return sum;
  const ValueId divisor = not_zero(n, sum);
  const ValueId one_or_zero = n.emit(Op::div, NoAttrs{}, {sum, divisor}, "some");
  return n.emit(Op::mul, NoAttrs{}, {one_or_zero, root(n, divisor, p)});
}

}  // namespace

void import_LpPool(OnnxNode& n) {
  const double p = read_p(n);
  const Window window = read_window(n, n.ints("kernel_shape"), n.integer("ceil_mode", 0) != 0);
  const ValueId x = powers(n, image_input(n, n.value(0)), p);
  const ValueId mean = pool(n, Op::avg_pool2d, x, window, true, "mean");
  const auto size = static_cast<double>(window.kernel[0] * window.kernel[1] * window.kernel[2]);
  const ValueId sum = n.emit(Op::scale, ScaleAttrs{size, 0}, {mean}, p == 1 ? nullptr : "sum");
  set_image_output(n, norm_of(n, sum, p));
}

void import_GlobalLpPool(OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank < 3 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  const double p = read_p(n);
  const ReduceAttrs spatial{((1 << rank) - 1) & ~3, false};
  const ValueId x = powers(n, n.value(0), p);
  n.set(0, norm_of(n, n.emit(Op::reduce, spatial, {x}, p == 1 ? nullptr : "sum"), p));
}

// y = x / norm(x) along an axis; 0 where the norm is 0.
void import_LpNormalization(OnnxNode& n) {
  const double p = read_p(n);
  const int axis = normal_axis(n.integer("axis", -1), n.rank(0));
  const ValueId x = n.value(0);
  const ValueId sum = n.emit(Op::reduce, ReduceAttrs{1 << axis, false}, {powers(n, x, p)}, "sum");
  n.set(0, n.emit(Op::div, NoAttrs{}, {x, root(n, not_zero(n, sum), p)}));
}

}  // namespace attune
