#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/indexing/places.h"

// Operators of the order of elements along an axis.
namespace attune {
namespace {

struct Largest {
  ValueId values, places;  // places are reals
};

// The largest (or smallest) elements along an axis, which is put last.
Largest top(const OnnxNode& n, ValueId x, int axis, int64_t count, bool largest) {
  const Perm last = axis_last(n.shape(x).rank, axis);
  x = n.transpose(x, last, "axis_last");
  if (!largest) x = n.emit(Op::scale, ScaleAttrs{-1, 0}, {x}, "negative");
  Dims dims = to_dims(n.shape(x));
  if (count < 1 || count > dims.back()) n.fail("{} of {} elements", count, dims.back());
  dims.back() = count;
  const Shape shape = to_shape(dims);
  const ValueId y = n.emit(Op::top_k, NoAttrs{}, {x}, "largest", &shape);
  const ValueId places = n.graph().want_output(n.graph().nodes.back(), 1);
  return {largest ? y : n.emit(Op::scale, ScaleAttrs{-1, 0}, {y}, "smallest"),
          n.emit(Op::to_real, NoAttrs{}, {places}, "places")};
}

// Of equal ones the first, or the last: the first of the elements in reverse.
void import_arg(OnnxNode& n, bool largest) {
  const int rank = n.rank(0), axis = normal_axis(n.integer("axis", 0), rank);
  const int64_t size = n.dims(0)[axis];
  const bool from_end = n.integer("select_last_index", 0) != 0;
  ValueId x = n.value(0);
  if (from_end) {
    Dims reversed(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) reversed[i] = size - 1 - i;
    x = select(n, x, axis, reversed, "reversed");
  }
  ValueId place = top(n, x, axis, 1, largest).places;
  if (from_end)
    place = n.emit(Op::scale, ScaleAttrs{-1, static_cast<double>(size - 1)}, {place}, "from_start");
  Dims dims = n.dims(0);
  if (n.integer("keepdims", 1) != 0)
    dims[axis] = 1;
  else
    dims.erase(dims.begin() + axis);
  n.set(0, n.reshape(place, dims, nullptr), ElementType::i64);
}

}  // namespace

void import_ArgMax(OnnxNode& n) { import_arg(n, true); }
void import_ArgMin(OnnxNode& n) { import_arg(n, false); }

// Sorted, which is right where they need not be.
void import_TopK(OnnxNode& n) {
  const int axis = normal_axis(n.integer("axis", -1), n.rank(0));
  const int64_t count = n.opset() < 10 ? n.integer("k", 0)
                                       : static_cast<int64_t>(n.known_scalar(1, "k"));
  const Largest found = top(n, n.value(0), axis, count, n.integer("largest", 1) != 0);
  const Perm back = inverse(axis_last(n.rank(0), axis));
  n.set(0, n.transpose(found.values, back, "values"));
  if (n.wants(1)) n.set(1, n.transpose(found.places, back, "indices"), ElementType::i64);
}

void import_CumSum(OnnxNode& n) {
  const int rank = n.rank(0);
  const auto place = static_cast<int64_t>(n.known_scalar(1, "axis"));
  const bool exclusive = n.integer("exclusive", 0) != 0, reverse = n.integer("reverse", 0) != 0;
  const CumsumAttrs attrs{normal_axis(place, rank), exclusive, reverse};
  if (n.is_known(0)) return n.set(0, cumsum(n.known(0, "input"), attrs.axis, exclusive, reverse));
  n.set(0, n.emit(Op::cumsum, attrs, {n.value(0)}));
}

// On where an index is the place along the new axis, counted from its end where negative.
void import_OneHot(OnnxNode& n) {
  const auto depth = static_cast<int64_t>(n.known_scalar(1, "depth"));
  Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size()) + 1;
  const int axis = normal_axis(n.integer("axis", -1), rank);
  if (depth < 1 || depth > kMaxComputedElements) n.fail("a depth of {}", depth);
  if (n.dims(2) != Dims{2}) n.fail("values of shape {}", dims_text(n.dims(2)));
  dims.insert(dims.begin() + axis, 1);
  const ValueId ids = from_start(n, n.reshape(n.value(0), dims, "ids"), depth);
  const ValueId places = counted(n, depth, axis, rank, "places");
  const ValueId hot = n.emit(Op::equal, NoAttrs{}, {ids, places}, "hot");
  const ValueId values = n.value(2);
  const ValueId off = n.slice(values, 0, 0, 1, "off"), on = n.slice(values, 0, 1, 1, "on");
  n.set(0, n.emit(Op::where, NoAttrs{}, {hot, on, off}), n.type(2));
}

// The first `lengths` steps of each example in reverse.
void import_ReverseSequence(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const int64_t time = n.integer("time_axis", 0), batch = n.integer("batch_axis", 1);
  if (rank < 2 || time + batch != 1 || (time != 0 && time != 1))
    n.fail("time_axis {} and batch_axis {} of shape {}", time, batch, dims_text(dims));
  if (n.dims(1) != Dims{dims[batch]}) n.fail("lengths of shape {}", dims_text(n.dims(1)));
  Perm batch_first = identity_perm(rank);
  if (time == 0) std::swap(batch_first[0], batch_first[1]);
  const ValueId x = n.transpose(n.value(0), batch_first, "batch_first");
  const int64_t examples = dims[batch], steps = dims[time];
  const ValueId lengths = n.reshape(n.value(1), {examples, 1}, "lengths");
  const ValueId at = counted(n, steps, 1, 2, "steps");
  const ValueId from_end = n.emit(Op::scale, ScaleAttrs{1, -1}, {lengths}, "last");
  const ValueId mirrored = n.emit(Op::sub, NoAttrs{}, {from_end, at}, "mirrored");
  const ValueId within = n.emit(Op::less, NoAttrs{}, {at, lengths}, "within");
  const ValueId ids = n.emit(Op::where, NoAttrs{}, {within, mirrored, at}, "order");
  const int64_t inner = count_elements(dims) / (examples * steps);
  const ValueId y = take_along(n, n.reshape(x, {examples, steps, inner}, "rows"), ids);
  n.set(0, n.transpose(n.reshape(y, to_dims(n.shape(x)), "reversed"), batch_first, nullptr));
}

}  // namespace attune
