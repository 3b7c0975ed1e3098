#include <limits>
#include <utility>

#include "graph/import/onnx/onnx_node.h"

namespace attune {

void import_Relu(OnnxNode& n) { n.set(0, n.emit(Op::clamp, ClampAttrs{.min = 0}, {n.value(0)})); }

// min(max(x, lower), upper), the bounds being attributes before opset 11. Either may be missing.
void import_Clip(OnnxNode& n) {
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

namespace {

// Over one axis; before opset 13 over all axes from `axis` on as if they were one.
void import_over_axis(OnnxNode& n, Op op) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const int axis = normal_axis(n.integer("axis", n.opset() < 13 ? 1 : -1), rank);
  const ValueId x = n.value(0);
  if (axis == rank - 1) return n.set(0, n.emit(op, NoAttrs{}, {x}));
  if (n.opset() < 13) {
    const Dims left(dims.begin(), dims.begin() + axis), right(dims.begin() + axis, dims.end());
    const ValueId flat = n.reshape(x, {count_elements(left), count_elements(right)}, "flat");
    const ValueId y = n.emit(op, NoAttrs{}, {flat}, op_name(op));
    return n.set(0, n.reshape(y, dims, nullptr));
  }
  std::vector<int> perm = identity_perm(rank);
  std::swap(perm[axis], perm[rank - 1]);
  const ValueId y = n.emit(op, NoAttrs{}, {n.transpose(x, perm, "axis_last")}, op_name(op));
  n.set(0, n.transpose(y, perm, nullptr));
}

}  // namespace

void import_Softmax(OnnxNode& n) { import_over_axis(n, Op::softmax); }
void import_LogSoftmax(OnnxNode& n) { import_over_axis(n, Op::log_softmax); }

#define ONNX(name)
#define ONNX_SAME(name, op) \
  void import_##name(OnnxNode& n) { n.set(0, n.emit(Op::op, NoAttrs{}, {n.value(0)})); }
#include "graph/import/onnx/onnx_ops.def"
#undef ONNX

}  // namespace attune
