#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

void import_reduce(OnnxNode& n, bool mean, int opset_of_input) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  if (rank > kMaxRank) n.fail("its input has shape {}", dims_text(dims));
  const auto axes = n.opset() < opset_of_input ? n.ints_of("axes", 255) : n.ints_of("axes", 1);
  ReduceAttrs attrs{0, mean};
  if (axes && !axes->empty()) {
    for (int64_t axis : *axes) attrs.axes |= 1 << normal_axis(axis, rank);
  } else if (n.integer("noop_with_empty_axes", 0) != 0) {
    return n.alias(0, 0);
  } else {
    attrs.axes = (1 << rank) - 1;
  }
  Dims kept;
  const bool keep = n.integer("keepdims", 1) != 0;
  for (int i = 0; i < rank; ++i)
    if (keep || (attrs.axes >> i & 1) == 0)
      kept.push_back((attrs.axes >> i & 1) != 0 ? 1 : dims[i]);
  const ValueId y = n.emit(Op::reduce, attrs, {n.value(0)}, keep ? nullptr : "reduce");
  n.set(0, n.reshape(y, kept, nullptr));
}

}  // namespace

void import_ReduceMean(OnnxNode& n) { import_reduce(n, true, 18); }
void import_ReduceSum(OnnxNode& n) { import_reduce(n, false, 13); }

// Reduces axes as they are: it needs no layout of its own.
void import_GlobalAveragePool(OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank < 3 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  n.set(0, n.emit(Op::reduce, ReduceAttrs{((1 << rank) - 1) & ~3, true}, {n.value(0)}));
}

}  // namespace attune
