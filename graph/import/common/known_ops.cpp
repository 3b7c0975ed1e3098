// Operators of shape arithmetic: their inputs are known at import, and so are their outputs.
#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/indexing/places.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

// Rows of a frozen table by ids.
void take_rows(OnnxNode& n, int axis) {
  if (axis != 0) n.fail("computed indices of axis {}; only rows (axis 0) can be taken", axis);
  if (!n.known(0, "table").real()) n.fail("computed indices of a table of integers");
  Dims y = n.dims(1), row = n.dims(0);
  const int64_t rows = row[0];
  row.erase(row.begin());
  const ValueId table = n.reshape(n.value(0), {rows, count_elements(row)}, "table");
  const ValueId taken = n.emit(Op::take, NoAttrs{}, {table, n.places(1)}, "rows");
  y.insert(y.end(), row.begin(), row.end());
  n.set(0, n.reshape(taken, y, nullptr));
}

}  // namespace

// Sizes `start` to `end` of the input, which need not be known.
void import_Shape(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int64_t rank = static_cast<int64_t>(dims.size());
  const auto bound = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 && i >= -rank ? i + rank : i, 0, rank);
  };
  const int64_t start = bound(n.integer("start", 0)), end = bound(n.integer("end", rank));
  n.set(0, vector_of(end <= start ? Dims{} : Dims(dims.begin() + start, dims.begin() + end)));
}

void import_Size(OnnxNode& n) {
  KnownTensor size = vector_of({count_elements(n.dims(0))});
  size.dims.clear();
  n.set(0, std::move(size));
}

// Of a known tensor, by computed indices or known ones; else as gather.cpp has it.
void import_Gather(OnnxNode& n) {
  const int axis = normal_axis(n.integer("axis", 0), n.rank(0));
  if (n.is_known(0) && !n.is_known(1) && axis == 0) return take_rows(n, axis);
  if (stays_known(n, 0) && n.is_known(1))
    return n.set(0, gather(n.known(0, "input"), n.known(1, "indices"), axis));
  gather_slices(n, axis);
}

void import_Range(OnnxNode& n) {
  n.set(0, range(n.known(0, "start"), n.known(1, "limit"), n.known(2, "delta")));
}

// An axis [n] that repeats is [count, n] seen as one.
void import_Tile(OnnxNode& n) {
  const Dims counts = n.known_ints(1, "repeats"), dims = n.dims(0);
  if (counts.size() != dims.size()) n.fail("{} repeats of {} axes", counts.size(), dims.size());
  if (stays_known(n, 0)) return n.set(0, tile(n.known(0, "input"), counts));
  ValueId x = n.operand(0);
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 1) n.fail("{} repeats of axis {}", counts[i], i);
    if (counts[i] == 1) continue;
    Dims y = to_dims(n.shape(x));
    const int64_t before = count_elements(Dims(y.begin(), y.begin() + static_cast<int>(i)));
    const int64_t behind = n.shape(x).elements() / before;
    const Shape spread = to_shape({before, counts[i], behind});
    const ValueId one = n.reshape(x, {before, 1, behind}, "one");
    y[i] *= counts[i];
    x = n.reshape(n.emit(Op::broadcast_to, BroadcastAttrs{}, {one}, "repeat", &spread), y, "tiled");
  }
  n.set(0, x);
}

}  // namespace attune
