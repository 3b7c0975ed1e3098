#pragma once

#include "graph/import/onnx/onnx_node.h"

// Elements of tensors by places that are known at import. What is the same for every example (or any
// other axis in front), and what lies together behind, becomes axes beside the one that is chosen
// from: lists stay short, and examples apart.
namespace attune {

// Places of a list within a tensor, both seen as [lead, .., inner].
struct Blocks {
  int64_t lead = 1, inner = 1;
  Dims places;  // of a block, in runs of `inner`
};

// `places` are of the elements of a list of shape `list` in a tensor of shape `of`, row by row.
Blocks blocks_of(const Dims& of, const Dims& list, const Dims& places);

// The slices of x along an axis that `indices` name, none of them negative.
ValueId select(const OnnxNode& n, ValueId x, int axis, const Dims& indices, const char* suffix);
// [..] of shape `dims` whose elements are those of x at `places`.
ValueId select_elements(const OnnxNode& n, ValueId x, const Dims& places, const Dims& dims);
// The same of input 0, whatever it is, as output 0.
void set_elements(const OnnxNode& n, const Dims& places, const Dims& dims);

// Gather of input 0, which is not known or trained, or by computed indices.
void gather_slices(const OnnxNode& n, int axis);

// Whether an input is known and trained, so that what is made of it is computed on the device.
bool is_trained(const OnnxNode& n, int input);
// Whether an input is known and may stay so.
bool stays_known(const OnnxNode& n, int input);

ValueId constant(const OnnxNode& n, const Dims& dims, std::vector<double> reals,
                 const char* suffix);
// 0, 1, .. as reals, along `axis` of `rank`.
ValueId counted(const OnnxNode& n, int64_t count, int axis, int rank, const char* suffix);
KnownTensor known_reals(ElementType type, const Dims& dims, std::vector<double> reals);

// Indices counted from the end of an axis where negative. Fails where one is outside of it.
Dims inside_axis(const OnnxNode& n, const KnownTensor& indices, int64_t size);
// Along an axis of x, for each of the indices (of its rank): the places of the elements that they
// stand for.
Dims places_along(const OnnxNode& n, const KnownTensor& indices, const Dims& x, int axis);
// Strides of a dense tensor, in elements.
Dims strides_of(const Dims& dims);
// The axes in order, but for `axis`, which is last.
Perm axis_last(int rank, int axis);

// y[r, k] = x[r, ids[r, k]] of a tensor [rows, A, D] and the same of reals that are ids.
ValueId take_along(const OnnxNode& n, ValueId x, ValueId ids, const char* suffix = "take");
// Ids of `size` things as reals, counted from the start where they were from the end.
ValueId from_start(const OnnxNode& n, ValueId ids, int64_t size);

}  // namespace attune
