#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

// A bias of [O] or [1,O].
bool is_bias(const OnnxNode& n, int64_t outputs) {
  if (!n.has(2)) return true;
  const Dims dims = n.dims(2);
  return n.is_known(2) && (dims == Dims{outputs} || dims == Dims{1, outputs});
}

}  // namespace

// y = alpha * A' * B' + beta * C
void import_Gemm(OnnxNode& n) {
  const Dims a = n.dims(0), b = n.dims(1);
  if (a.size() != 2 || b.size() != 2)
    n.fail("inputs of shape {} and {}; matrices are wanted", dims_text(a), dims_text(b));
  const double alpha = n.real("alpha", 1), beta = n.real("beta", 1);
  const bool trans_a = n.integer("transA", 0) != 0, trans_b = n.integer("transB", 0) != 0;
  const int64_t outputs = b[trans_b ? 0 : 1];
  if (a[trans_a ? 0 : 1] != b[trans_b ? 1 : 0])
    n.fail("inner sizes differ in {} and {}", dims_text(a), dims_text(b));
  const bool fused = alpha == 1 && beta == 1 && is_bias(n, outputs);
  const bool ends = alpha == 1 && (fused || !n.has(2));  // the product is the result
  const char* suffix = ends ? nullptr : "product";
  ValueId y = kNone;
  if (n.is_known(1)) {
    const ValueId x = trans_a ? n.transpose(n.value(0), {1, 0}, "transpose_a") : n.value(0);
    std::vector<ValueId> inputs = {
        x, n.weight(1, b, trans_b ? std::vector{0, 1} : std::vector{1, 0}, "weight")};
    if (fused && n.has(2)) inputs.push_back(n.weight(2, {outputs}, {0}, "bias"));
    y = n.emit(Op::linear, LinearAttrs{}, inputs, suffix);
    if (ends) return n.set(0, y);
  } else {
    y = n.emit(Op::matmul, MatmulAttrs{trans_a, trans_b}, {n.operand(0, Use::weight), n.value(1)},
               alpha == 1 && !n.has(2) ? nullptr : "product");
  }
  if (alpha != 1) y = n.emit(Op::scale, ScaleAttrs{alpha, 0}, {y}, n.has(2) ? "alpha" : nullptr);
  if (n.has(2)) {
    ValueId c = n.operand(2, Use::weight);
    if (beta != 1) c = n.emit(Op::scale, ScaleAttrs{beta, 0}, {c}, "beta");
    const Shape product = n.shape(y);
    y = n.emit(Op::add, NoAttrs{}, {y, c});
    if (!(n.shape(y) == product))
      n.fail("its addend of shape {} does not broadcast to {}", dims_text(n.dims(2)),
             dims_text(to_dims(product)));
  }
  n.set(0, y);
}

}  // namespace attune
