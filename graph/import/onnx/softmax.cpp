#include <utility>

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// Over one axis; before opset 13 over all axes from `axis` on as if they were one.
void import_Softmax(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const int axis = normal_axis(n.integer("axis", n.opset() < 13 ? 1 : -1), rank);
  const ValueId x = n.value(0);
  if (axis == rank - 1) return n.set(0, n.emit(Op::softmax, NoAttrs{}, {x}));
  if (n.opset() < 13) {
    const Dims left(dims.begin(), dims.begin() + axis), right(dims.begin() + axis, dims.end());
    const ValueId flat = n.reshape(x, {count_elements(left), count_elements(right)}, "flat");
    const ValueId y = n.emit(Op::softmax, NoAttrs{}, {flat}, "softmax");
    return n.set(0, n.reshape(y, dims, nullptr));
  }
  std::vector<int> perm = identity_perm(rank);
  std::swap(perm[axis], perm[rank - 1]);
  const ValueId y = n.emit(Op::softmax, NoAttrs{}, {n.transpose(x, perm, "axis_last")}, "softmax");
  n.set(0, n.transpose(y, perm, nullptr));
}

}  // namespace attune
