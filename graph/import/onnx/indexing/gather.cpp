#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/indexing/index_columns.h"
#include "graph/import/onnx/indexing/places.h"

namespace attune {

// Of one that is not known by known indices, which are slices; by computed ones, whose table is one
// for all examples.
void gather_slices(const OnnxNode& n, int axis) {
  const Dims x = n.dims(0), indices = n.dims(1);
  Dims y(x.begin(), x.begin() + axis), rest(x.begin() + axis + 1, x.end());
  const Dims before = y;
  y.insert(y.end(), indices.begin(), indices.end());
  y.insert(y.end(), rest.begin(), rest.end());
  if (n.is_known(1)) {
    const Dims places = inside_axis(n, n.known(1, "indices"), x[axis]);
    const bool one = places.size() == 1;  // a slice, which takes any type
    const ValueId data = n.is_known(0) ? n.operand(0) : one ? n.stored(0) : n.value(0);
    return n.set(0, n.reshape(select(n, data, axis, places, "slices"), y, nullptr));
  }
  // [A, before * rest] by ids: [ids, before, rest], whose first axes change places.
  const int rank = static_cast<int>(x.size());
  Perm front = identity_perm(rank);
  std::rotate(front.begin(), front.begin() + axis, front.begin() + axis + 1);
  const int64_t outer = count_elements(before), inner = count_elements(rest);
  const int64_t count = count_elements(indices);
  const ValueId data = n.transpose(n.operand(0), front, "axis_first");
  const ValueId table = n.reshape(data, {1, x[axis], outer * inner}, "table");
  const ValueId taken = take_along(n, table, n.reshape(n.places(1), {1, count}, "ids"));
  if (outer == 1) return n.set(0, n.reshape(taken, y, nullptr));
  const ValueId split = n.reshape(taken, {count, outer, inner}, "slices");
  n.set(0, n.reshape(n.transpose(split, {1, 0, 2}, "turned"), y, nullptr));
}

// y[i, j, k] = x[i, indices[i, j, k], k] for the middle axis.
void import_GatherElements(OnnxNode& n) {
  const Dims x = n.dims(0), y = n.dims(1);
  const int rank = static_cast<int>(x.size());
  const int axis = normal_axis(n.integer("axis", 0), rank);
  if (y.size() != x.size())
    n.fail("indices of shape {} for {}", dims_text(y), dims_text(x));
  for (int i = 0; i < rank; ++i)
    if (i != axis && y[i] > x[i]) n.fail("indices of shape {} for {}", dims_text(y), dims_text(x));
  if (n.is_known(1)) return set_elements(n, places_along(n, n.known(1, "indices"), x, axis), y);
  ValueId data = n.operand(0);
  for (int i = 0; i < rank; ++i)
    if (i != axis) data = n.slice(data, i, 0, y[i], "part");
  const Perm last = axis_last(rank, axis);
  const int64_t rows = count_elements(y) / y[axis];
  const ValueId lines = n.reshape(n.transpose(data, last, "axis_last"), {rows, x[axis], 1}, "rows");
  const ValueId ids = n.reshape(turned_ids(n, 1, last), {rows, y[axis]}, "ids");
  const ValueId taken = n.reshape(take_along(n, lines, ids), permuted(y, last), "taken");
  n.set(0, n.transpose(taken, inverse(last), nullptr));
}

// Slices of x by the columns of the last axis of indices; the first `batch_dims` axes are in step.
void import_GatherND(OnnxNode& n) {
  const Dims x = n.dims(0);
  const IndexColumns columns(n, x, n.integer("batch_dims", 0));
  Dims y = columns.outer();
  y.insert(y.end(), columns.slice().begin(), columns.slice().end());
  if (n.is_known(1)) return set_elements(n, columns.elements(), y);
  const ValueId data = n.reshape(
      n.operand(0), {columns.rows(), columns.size(), count_elements(columns.slice())}, "table");
  n.set(0, n.reshape(take_along(n, data, columns.ids(n)), y, nullptr));
}

}  // namespace attune
