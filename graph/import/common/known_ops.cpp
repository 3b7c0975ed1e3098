// Operators of shape arithmetic: their inputs are known at import, and so are their outputs.
#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

void import_unary(OnnxNode& n, Unary op) { n.set(0, compute(op, n.known(0, "input"))); }

void import_binary(OnnxNode& n, Binary op) {
  n.set(0, compute(op, n.known(0, "input"), n.known(1, "input")));
}

// Min and Max take any number of inputs.
void import_many(OnnxNode& n, Binary op) {
  if (n.input_count() == 1) return n.alias(0, 0);
  KnownTensor y = n.known(0, "input");
  for (int i = 1; i < n.input_count(); ++i) y = compute(op, y, n.known(i, "input"));
  n.set(0, std::move(y));
}

// Rows of a frozen table by ids.
void take_rows(OnnxNode& n, int axis) {
  if (axis != 0) n.fail("computed indices of axis {}; only rows (axis 0) can be taken", axis);
  if (!n.known(0, "table").real()) n.fail("computed indices of a table of integers");
  Dims y = n.dims(1), row = n.dims(0);
  const int64_t rows = row[0];
  row.erase(row.begin());
  const ValueId table = n.reshape(n.frozen(0), {rows, count_elements(row)}, "table");
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

// Of a known tensor, by computed indices or known ones; of a computed one where the index is one
// number, which is a slice.
void import_Gather(OnnxNode& n) {
  const int axis = normal_axis(n.integer("axis", 0), n.rank(0));
  if (n.is_known(0) && !n.is_known(1)) return take_rows(n, axis);
  const KnownTensor& indices = n.known(1, "indices");
  if (n.is_known(0)) return n.set(0, gather(n.known(0, "input"), indices, axis));
  if (indices.real() || indices.elements() != 1)
    n.fail("indices of shape {} into a computed tensor", dims_text(indices.dims));
  Dims dims = n.dims(0);
  int64_t index = indices.data->ints()[0];
  if (index < -dims[axis] || index >= dims[axis])
    n.fail("index {} of an axis of {}", index, dims[axis]);
  if (index < 0) index += dims[axis];
  const ValueId slice = n.slice(n.stored(0), axis, index, 1, "slice");
  dims.erase(dims.begin() + axis);
  dims.insert(dims.begin() + axis, indices.dims.begin(), indices.dims.end());
  n.set(0, n.reshape(slice, dims, nullptr));
}

void import_Range(OnnxNode& n) {
  n.set(0, range(n.known(0, "start"), n.known(1, "limit"), n.known(2, "delta")));
}

void import_Where(OnnxNode& n) {
  n.set(0, where(n.known(0, "condition"), n.known(1, "input"), n.known(2, "input")));
}

void import_Equal(OnnxNode& n) { import_binary(n, Binary::equal); }
void import_Less(OnnxNode& n) { import_binary(n, Binary::less); }
void import_LessOrEqual(OnnxNode& n) { import_binary(n, Binary::less_or_equal); }
void import_Greater(OnnxNode& n) { import_binary(n, Binary::greater); }
void import_GreaterOrEqual(OnnxNode& n) { import_binary(n, Binary::greater_or_equal); }
void import_And(OnnxNode& n) { import_binary(n, Binary::logical_and); }
void import_Or(OnnxNode& n) { import_binary(n, Binary::logical_or); }
void import_Xor(OnnxNode& n) { import_binary(n, Binary::logical_xor); }
void import_Min(OnnxNode& n) { import_many(n, Binary::min); }
void import_Max(OnnxNode& n) { import_many(n, Binary::max); }

void import_Mod(OnnxNode& n) {
  if ((n.integer("fmod", 0) != 0) != n.known(0, "input").real()) n.fail("fmod of integers");
  import_binary(n, Binary::mod);
}

void import_Floor(OnnxNode& n) { import_unary(n, Unary::floor); }
void import_Ceil(OnnxNode& n) { import_unary(n, Unary::ceil); }
void import_Sqrt(OnnxNode& n) {
  if (n.is_known(0)) return import_unary(n, Unary::sqrt);
  n.set(0, n.emit(Op::sqrt, NoAttrs{}, {n.value(0)}));
}
void import_Abs(OnnxNode& n) { import_unary(n, Unary::abs); }
void import_Not(OnnxNode& n) { import_unary(n, Unary::logical_not); }

// A computed tensor repeats as a concatenation of itself.
void import_Tile(OnnxNode& n) {
  const Dims counts = n.known_ints(1, "repeats");
  if (static_cast<int>(counts.size()) != n.rank(0))
    n.fail("{} repeats of {} axes", counts.size(), n.rank(0));
  if (n.is_known(0)) return n.set(0, tile(n.known(0, "input"), counts));
  constexpr int64_t kMost = 64;
  ValueId x = n.value(0);
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 1 || counts[i] > kMost)
      n.fail("{} repeats of axis {}; 1 .. {} are supported", counts[i], i, kMost);
    if (counts[i] == 1) continue;
    const std::vector<ValueId> parts(static_cast<size_t>(counts[i]), x);
    x = n.emit(Op::concat, AxisAttrs{static_cast<int>(i)}, parts, "repeat");
  }
  n.set(0, x);
}

}  // namespace attune
