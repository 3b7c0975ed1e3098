#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

// x W for a known matrix W: the leading axes of x are one.
void import_linear(const OnnxNode& n, const Dims& a, const Dims& b, const Dims& y) {
  const int64_t rows = count_elements(Dims(a.begin(), a.end() - 1));
  const ValueId x = n.reshape(n.value(0), {rows, a.back()}, "rows");
  const ValueId w = n.weight(1, b, {1, 0}, "weight");
  const bool ends = y == Dims{rows, b[1]};
  const ValueId product = n.emit(Op::linear, LinearAttrs{}, {x, w}, ends ? nullptr : "linear");
  n.set(0, n.reshape(product, y, nullptr));
}

}  // namespace

// NumPy's matmul: a vector is a matrix of one row (a) or column (b), leading axes broadcast.
void import_MatMul(OnnxNode& n) {
  Dims a = n.dims(0), b = n.dims(1);
  if (a.empty() || b.empty()) n.fail("a factor without axes");
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  if (a.back() != b[b.size() - 2])
    n.fail("inner sizes differ in {} and {}", dims_text(n.dims(0)), dims_text(n.dims(1)));
  Dims lead = broadcast_dims(Dims(a.begin(), a.end() - 2), Dims(b.begin(), b.end() - 2));
  Dims full = lead;
  full.insert(full.end(), {a[a.size() - 2], b.back()});
  Dims y = lead;
  if (!row) y.push_back(a[a.size() - 2]);
  if (!column) y.push_back(b.back());
  if (n.is_known(1) && n.rank(1) == 2 && n.known(1, "weight").real() && !n.is_known(0))
    return import_linear(n, n.dims(0), b, y);

  ValueId left = n.reshape(n.operand(0, Use::weight), a, "a");
  ValueId right = n.reshape(n.operand(1, Use::weight), b, "b");
  if (b.size() == 2 && a.size() > 2) {  // one matrix b for all
    const int64_t rows = count_elements(Dims(a.begin(), a.end() - 1));
    left = n.reshape(left, {rows, a.back()}, "rows");
    full = {rows, b.back()};
  } else {
    const auto spread = [&](ValueId x, const Dims& matrix, const char* suffix) {
      Dims dims = lead;
      dims.insert(dims.end(), matrix.end() - 2, matrix.end());
      const Shape wanted = to_shape(dims);
      if (n.shape(x) == wanted) return x;
      return n.emit(Op::broadcast_to, BroadcastAttrs{}, {x}, suffix, &wanted);
    };
    left = spread(left, a, "spread_a");
    right = spread(right, b, "spread_b");
  }
  const ValueId product =
      n.emit(Op::matmul, MatmulAttrs{}, {left, right}, full == y ? nullptr : "matmul");
  n.set(0, n.reshape(product, y, nullptr));
}

}  // namespace attune
