// Over one axis.
#include <utility>

#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

Expression softmax(const Expression& x) { return apply(Op::softmax, x); }
Expression log_softmax(const Expression& x) { return apply(Op::log_softmax, x); }

// 1 at the first largest element, else 0.
Expression hardmax(const Expression& x) {
  const Expression largest = equal(x, apply(Op::reduce_max, x));
  const int last = x.node->shape(x.id).rank - 1;
  return largest * equal(apply(Op::cumsum, largest, CumsumAttrs{.axis = last}), 1);
}

// Before opset 13 over all axes from `axis` on as if they were one.
void import_over_axis(OnnxNode& n, Expression (*of_last)(const Expression& x)) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const int axis = normal_axis(n.integer("axis", n.opset() < 13 ? 1 : -1), rank);
  const Expression x = input(n, 0);
  if (axis == rank - 1) return n.set(0, of_last(x).id);
  if (n.opset() < 13) {
    const Dims left(dims.begin(), dims.begin() + axis), right(dims.begin() + axis, dims.end());
    const ValueId flat = n.reshape(x.id, {count_elements(left), count_elements(right)}, "flat");
    return n.set(0, n.reshape(of_last(x.with(flat)).id, dims, nullptr));
  }
  std::vector<int> perm = identity_perm(rank);
  std::swap(perm[axis], perm[rank - 1]);
  const ValueId turned = n.transpose(x.id, perm, "axis_last");
  n.set(0, n.transpose(of_last(x.with(turned)).id, perm, nullptr));
}

}  // namespace

void import_Softmax(OnnxNode& n) { import_over_axis(n, softmax); }
void import_LogSoftmax(OnnxNode& n) { import_over_axis(n, log_softmax); }
void import_Hardmax(OnnxNode& n) { import_over_axis(n, hardmax); }

}  // namespace attune
