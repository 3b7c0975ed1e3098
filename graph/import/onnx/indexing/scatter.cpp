#include <algorithm>
#include <limits>

#include "graph/import/onnx/indexing/index_columns.h"
#include "graph/import/onnx/indexing/places.h"

namespace attune {
namespace {

// What becomes of an element and the updates that fall on it.
struct Reduction {
  enum Kind { none, add, mul, min, max } kind = none;

  static Reduction of(const OnnxNode& n) {
    const std::string text = n.text("reduction", "none");
    const char* names[] = {"none", "add", "mul", "min", "max"};
    for (int i = 0; i < 5; ++i)
      if (text == names[i]) return {static_cast<Kind>(i)};
    n.fail("reduction {}", text);
  }
  Op op() const {
    return kind == mul ? Op::mul : kind == min ? Op::minimum : Op::maximum;
  }
  double identity() const {
    const double infinity = std::numeric_limits<double>::infinity();
    return kind == mul ? 1 : kind == min ? infinity : -infinity;
  }
};

// Updates [lead, U, inner] go to known places along the middle axis of data [lead, P, inner].
ValueId scatter_blocks(const OnnxNode& n, ValueId data, ValueId updates, const Dims& places,
                       Reduction reduction) {
  const Shape shape = n.shape(data);
  const int64_t size = shape[1], count = n.shape(updates)[1];
  if (reduction.kind == Reduction::add) {
    const ValueId to = n.graph().add_index_constant(n.part_name("places"), places);
    const ValueId sum =
        n.emit(Op::scatter_add, AxisAttrs{1}, {updates, to}, "scatter_add", &shape);
    return n.emit(Op::add, NoAttrs{}, {data, sum}, "scattered");
  }
  if (reduction.kind == Reduction::none) {  // The last one stays.
    Dims from(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) from[i] = count + i;
    for (int64_t i = 0; i < count; ++i) from[places[i]] = i;
    const bool all = std::all_of(from.begin(), from.end(), [&](int64_t i) { return i < count; });
    const ValueId both = all ? updates : n.emit(Op::concat, AxisAttrs{1}, {updates, data}, "both");
    return select(n, both, 1, from, "scattered");
  }
  // The first update of each place, then the second one, ..
  const Dims one = {shape[0], 1, shape[2]};
  const std::vector<double> idle(static_cast<size_t>(shape[0] * shape[2]), reduction.identity());
  const ValueId both = n.emit(Op::concat, AxisAttrs{1},
                              {updates, constant(n, one, idle, "identity")}, "both");
  std::vector<bool> done(places.size());
  for (size_t left = places.size(); left > 0;) {
    Dims from(static_cast<size_t>(size), count);
    for (size_t i = 0; i < places.size(); ++i) {
      if (done[i] || from[places[i]] != count) continue;
      from[places[i]] = static_cast<int64_t>(i);
      done[i] = true;
      --left;
    }
    data = n.emit(reduction.op(), NoAttrs{}, {data, select(n, both, 1, from, "updates")},
                  "scattered");
  }
  return data;
}

void scatter_known(const OnnxNode& n, const Dims& places, Reduction reduction) {
  const Dims dims = n.dims(0);
  const ValueId data = n.operand(0), updates = n.operand(2);
  const Blocks blocks = blocks_of(dims, to_dims(n.shape(updates)), places);
  const auto seen = [&](ValueId x) {
    const int64_t rows = n.shape(x).elements() / blocks.lead / blocks.inner;
    return n.reshape(x, {blocks.lead, rows, blocks.inner}, "blocks");
  };
  const ValueId y = scatter_blocks(n, seen(data), seen(updates), blocks.places, reduction);
  n.set(0, n.reshape(y, dims, nullptr));
}

// Updates [R,K,D] go to the rows of data [R,A,D] that ids [R,K] name. Where a row has several
// updates and one is to stay (ONNX leaves open which), it is their mean.
ValueId scatter_rows(const OnnxNode& n, ValueId data, ValueId ids, ValueId updates,
                     Reduction reduction) {
  const Shape shape = n.shape(data), given = n.shape(updates);
  const ValueId as_given = ids;
  if (is_real(n.graph().value(ids).dtype))
    ids = n.emit(Op::to_places, NoAttrs{}, {ids}, "ids");
  const auto sum_of = [&](ValueId terms, const char* suffix) {
    const Shape wanted{shape[0], shape[1], n.shape(terms)[2]};
    return n.emit(Op::add_along, NoAttrs{}, {terms, ids}, suffix, &wanted);
  };
  if (reduction.kind == Reduction::add)
    return n.emit(Op::add, NoAttrs{}, {data, sum_of(updates, "sum")}, "scattered");
  if (reduction.kind == Reduction::none) {
    const Dims ones = {given[0], given[1], 1};
    const std::vector<double> one(static_cast<size_t>(given[0]) * given[1], 1);
    const ValueId count = sum_of(constant(n, ones, one, "ones"), "count");
    const ValueId divisor = n.emit(Op::maximum, NoAttrs{}, {count, n.number(1)}, "divisor");
    const ValueId mean = n.emit(Op::div, NoAttrs{}, {sum_of(updates, "sum"), divisor}, "mean");
    return n.emit(Op::where, NoAttrs{}, {count, mean, data}, "scattered");
  }
  // [R,A,D,K]: the updates of each element, and what changes nothing.
  ValueId places = as_given;
  if (!is_real(n.graph().value(places).dtype))
    places = n.emit(Op::to_real, NoAttrs{}, {places}, "places");
  places = n.reshape(from_start(n, places, shape[1]), {given[0], 1, 1, given[1]}, "places");
  const ValueId rows = counted(n, shape[1], 1, 4, "rows");
  const ValueId falls = n.emit(Op::equal, NoAttrs{}, {places, rows}, "falls");
  const ValueId last = n.reshape(n.transpose(updates, {0, 2, 1}, "updates_last"),
                                 {given[0], 1, given[2], given[1]}, "updates");
  const ValueId each =
      n.emit(Op::where, NoAttrs{}, {falls, last, n.number(reduction.identity())}, "each");
  ValueId made;
  if (reduction.kind == Reduction::min) {
    const ValueId turned = n.emit(Op::scale, ScaleAttrs{-1, 0}, {each}, "negative");
    const ValueId most = n.emit(Op::reduce_max, NoAttrs{}, {turned}, "most");
    made = n.emit(Op::scale, ScaleAttrs{-1, 0}, {most}, "least");
  } else {
    const Op op = reduction.kind == Reduction::mul ? Op::reduce_prod : Op::reduce_max;
    made = n.emit(op, NoAttrs{}, {each}, "reduced");
  }
  return n.emit(reduction.op(), NoAttrs{}, {data, n.reshape(made, to_dims(shape), "rows")},
                "scattered");
}

}  // namespace

// data[i, indices[i, j, k], k] becomes updates[i, j, k], for the middle axis.
void import_ScatterElements(OnnxNode& n) {
  const Reduction reduction = Reduction::of(n);
  const Dims x = n.dims(0), of = n.dims(1);
  const int rank = static_cast<int>(x.size());
  const int axis = normal_axis(n.integer("axis", 0), rank);
  if (of.size() != x.size() || n.dims(2) != of)
    n.fail("indices of shape {} and updates of shape {} for {}", dims_text(of),
           dims_text(n.dims(2)), dims_text(x));
  for (int i = 0; i < rank; ++i)
    if (i != axis && of[i] > x[i]) n.fail("indices of shape {} for {}", dims_text(of), dims_text(x));
  if (n.is_known(1))
    return scatter_known(n, places_along(n, n.known(1, "indices"), x, axis), reduction);
  // What the indices do not reach along other axes is put back.
  ValueId data = n.operand(0);
  std::vector<ValueId> rests(static_cast<size_t>(rank), kNone);
  for (int i = 0; i < rank; ++i) {
    if (i == axis || of[i] == x[i]) continue;
    rests[i] = n.slice(data, i, of[i], x[i] - of[i], "rest");
    data = n.slice(data, i, 0, of[i], "part");
  }
  const Perm last = axis_last(rank, axis);
  const int64_t rows = count_elements(of) / of[axis];
  const auto lines = [&](ValueId v) {
    const int64_t length = n.shape(v).elements() / rows;
    return n.reshape(n.transpose(v, last, "axis_last"), {rows, length, 1}, "rows");
  };
  const Dims part = permuted(to_dims(n.shape(data)), last);
  const ValueId ids = n.reshape(turned_ids(n, 1, last), {rows, of[axis]}, "ids");
  ValueId y = scatter_rows(n, lines(data), ids, lines(n.operand(2)), reduction);
  y = n.transpose(n.reshape(y, part, "scattered"), inverse(last), "axis_back");
  for (int i = rank; i-- > 0;)
    if (rests[i] != kNone) y = n.emit(Op::concat, AxisAttrs{i}, {y, rests[i]}, "whole");
  n.set(0, y);
}

void import_Scatter(OnnxNode& n) { import_ScatterElements(n); }

// The slices of data that the columns of the last axis of indices name become those of updates.
void import_ScatterND(OnnxNode& n) {
  const Reduction reduction = Reduction::of(n);
  const Dims x = n.dims(0);
  const IndexColumns columns(n, x, 0);
  Dims given = columns.outer();
  given.insert(given.end(), columns.slice().begin(), columns.slice().end());
  if (n.dims(2) != given)
    n.fail("updates of shape {}, not {}", dims_text(n.dims(2)), dims_text(given));
  if (n.is_known(1)) return scatter_known(n, columns.elements(), reduction);
  const int64_t inner = count_elements(columns.slice());
  const ValueId data = n.reshape(n.operand(0), {columns.rows(), columns.size(), inner}, "table");
  const ValueId updates =
      n.reshape(n.operand(2), {columns.rows(), columns.count(), inner}, "updates");
  n.set(0, n.reshape(scatter_rows(n, data, columns.ids(n), updates, reduction), x, nullptr));
}

}  // namespace attune
