#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

constexpr int kNoInput = 255;

// Which axes a node reduces; nothing where it changes nothing.
std::optional<std::vector<bool>> reduced_axes(const OnnxNode& n, int opset_of_input) {
  const int rank = n.rank(0);
  const auto axes = n.ints_of("axes", n.opset() < opset_of_input ? kNoInput : 1);
  const bool all = !axes || axes->empty();
  if (all && n.integer("noop_with_empty_axes", 0) != 0) return std::nullopt;
  std::vector<bool> reduced(rank, all);
  if (axes)
    for (int64_t axis : *axes) reduced[normal_axis(axis, rank)] = true;
  return reduced;
}

void import_reduce(OnnxNode& n, bool mean, int opset_of_input) {
  const Dims dims = n.dims(0);
  if (dims.size() > kMaxRank) n.fail("its input has shape {}", dims_text(dims));
  const auto reduced = reduced_axes(n, opset_of_input);
  if (!reduced) return n.alias(0, 0);
  ReduceAttrs attrs{0, mean};
  Dims kept;
  const bool keep = n.integer("keepdims", 1) != 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if ((*reduced)[i]) attrs.axes |= 1 << i;
    if (keep || !(*reduced)[i]) kept.push_back((*reduced)[i] ? 1 : dims[i]);
  }
  const ValueId y = n.emit(Op::reduce, attrs, {n.value(0)}, keep ? nullptr : "reduce");
  n.set(0, n.reshape(y, kept, nullptr));
}

}  // namespace

void import_ReduceMean(OnnxNode& n) { import_reduce(n, true, 18); }
void import_ReduceSum(OnnxNode& n) { import_reduce(n, false, 13); }

void import_ReduceProd(OnnxNode& n) {
  const auto reduced = reduced_axes(n, 18);
  if (!reduced) return n.alias(0, 0);
  n.set(0, reduce_prod(n.known(0, "input"), *reduced, n.integer("keepdims", 1) != 0));
}

// Reduces axes as they are: it needs no layout of its own.
void import_GlobalAveragePool(OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank < 3 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  n.set(0, n.emit(Op::reduce, ReduceAttrs{((1 << rank) - 1) & ~3, true}, {n.value(0)}));
}

}  // namespace attune
