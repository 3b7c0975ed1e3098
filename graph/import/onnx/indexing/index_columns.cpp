#include "graph/import/onnx/indexing/index_columns.h"

#include <algorithm>

#include "graph/import/onnx/indexing/places.h"

namespace attune {
namespace {

// What a value is concatenated of along its last axis, or nothing.
std::vector<ValueId> parts_of(const Graph& graph, ValueId id) {
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (node->output(0) != id) continue;
    const bool joins = node->op == Op::concat &&
                       node->as<AxisAttrs>().axis == graph.shape(id).rank - 1;
    return joins ? node->inputs : std::vector<ValueId>{};
  }
  return {};
}

}  // namespace

IndexColumns::IndexColumns(const OnnxNode& n, const Dims& x, int64_t batch_dims) {
  const Dims indices = n.dims(1);
  if (indices.empty()) n.fail("indices without an axis");
  const int64_t width = indices.back();
  if (batch_dims < 0 || batch_dims >= static_cast<int64_t>(indices.size()) || width < 0 ||
      width > static_cast<int64_t>(x.size()) - batch_dims)
    n.fail("indices of shape {} for {}", dims_text(indices), dims_text(x));
  in_step_ = static_cast<size_t>(batch_dims);
  outer_.assign(indices.begin(), indices.end() - 1);
  for (size_t i = 0; i < in_step_; ++i)
    if (indices[i] != x[i]) n.fail("indices of shape {} for {}", dims_text(indices), dims_text(x));
  slice_.assign(x.begin() + batch_dims + width, x.end());

  const Graph& graph = n.graph();
  const auto tuples = static_cast<size_t>(count_elements(outer_));
  // Columns first[i], first[i + width], ..
  const auto take_known = [&](const Dims& ints, size_t column, size_t of) {
    Dims known(tuples);
    for (size_t i = 0; i < tuples; ++i) {
      int64_t& place = known[i] = ints[i * of + column];
      const int64_t size = x[in_step_ + columns_.size()];
      if (place < -size || place >= size) n.fail("index {} of an axis of {}", place, size);
      if (place < 0) place += size;
    }
    columns_.push_back({x[in_step_ + columns_.size()], std::move(known), kNone});
  };
  if (n.is_known(1)) {
    if (n.is_real(1)) n.fail("indices that are floats");
    const Dims ints = n.known(1, "indices").data->ints();
    for (int64_t c = 0; c < width; ++c)
      take_known(ints, static_cast<size_t>(c), static_cast<size_t>(width));
  } else {
    const ValueId whole = width == 1 ? n.stored(1) : n.value(1);
    std::vector<ValueId> parts = parts_of(graph, whole);
    if (parts.empty()) parts = {whole};
    for (const ValueId part : parts) {
      const auto of = static_cast<size_t>(n.shape(part).last());
      const Value& value = graph.value(part);
      Dims ints;
      if (value.role == Role::constant) {
        const std::vector<double> reals =
            value.data->is_real() ? value.data->reals() : std::vector<double>{};
        ints = value.data->is_real() ? Dims(reals.begin(), reals.end()) : value.data->ints();
      }
      for (size_t c = 0; c < of; ++c) {
        if (!ints.empty()) {
          take_known(ints, c, of);
          continue;
        }
        const ValueId column =
            n.slice(part, n.shape(part).rank - 1, static_cast<int64_t>(c), 1, "column");
        columns_.push_back({x[in_step_ + columns_.size()], {}, column});
      }
    }
  }
  // Known indices are elements one by one, and need no axes in step.
  while (!n.is_known(1) && !columns_.empty() && in_step_ < outer_.size() &&
         outer_[in_step_] == columns_[0].size && counts(columns_[0], in_step_)) {
    columns_.erase(columns_.begin());
    ++in_step_;
  }
  for (size_t i = 0; i < in_step_; ++i) rows_ *= x[i];
  for (const Column& column : columns_) size_ *= column.size;
}

// Whether a column is the place along an axis of the indices.
bool IndexColumns::counts(const Column& column, size_t axis) const {
  if (column.known.empty()) return false;
  const int64_t stride = strides_of(outer_)[axis];
  for (size_t i = 0; i < column.known.size(); ++i)
    if (column.known[i] != static_cast<int64_t>(i) / stride % outer_[axis]) return false;
  return true;
}

Dims IndexColumns::elements() const {
  const int64_t inner = count_elements(slice_), each = count();
  Dims places;
  for (int64_t tuple = 0; tuple < rows_ * each; ++tuple) {
    int64_t at = tuple / each;
    for (const Column& column : columns_)
      at = at * column.size + column.known[static_cast<size_t>(tuple)];
    for (int64_t i = 0; i < inner; ++i) places.push_back(at * inner + i);
    if (static_cast<int64_t>(places.size()) > kMaxComputedElements)
      throw_error("indices of more than {} elements", kMaxComputedElements);
  }
  return places;
}

ValueId IndexColumns::ids(const OnnxNode& n) const {
  const Dims flat = {rows_, count()};
  if (columns_.size() == 1 && columns_[0].value != kNone)
    return n.reshape(columns_[0].value, flat, "ids");
  ValueId sum = kNone;
  int64_t stride = size_;
  for (const Column& column : columns_) {
    stride /= column.size;
    ValueId id;
    if (column.value == kNone) {
      id = constant(n, flat, std::vector<double>(column.known.begin(), column.known.end()),
                    "known_ids");
    } else {
      id = from_start(n, n.reshape(column.value, flat, "column"), column.size);
    }
    if (stride != 1)
      id = n.emit(Op::scale, ScaleAttrs{static_cast<double>(stride), 0}, {id}, "steps");
    sum = sum == kNone ? id : n.emit(Op::add, NoAttrs{}, {sum, id}, "sum");
  }
  if (sum == kNone) sum = constant(n, flat, std::vector<double>(static_cast<size_t>(rows_ * count())), "first");
  return sum;
}

ValueId turned_ids(const OnnxNode& n, int input, const Perm& perm) {
  if (is_identity(perm)) return n.places(input);
  return n.transpose(n.value(input), perm, "turned_ids");
}

}  // namespace attune
