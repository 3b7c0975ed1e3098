#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

// What is taken of an axis.
struct Part {
  int64_t start = 0, count = 0, step = 1;
};

// Takes a part of every axis, then gives the result another shape of as many elements.
void take_parts(TfliteNode& n, const std::vector<Part>& parts, const Dims& y) {
  Dims taken;
  for (const Part& part : parts) taken.push_back(part.count);
  if (count_elements(taken) != count_elements(y))
    n.fail("{} as {}", dims_text(taken), dims_text(y));
  if (n.is_known(0)) {
    KnownTensor x = n.known(0, "input");
    for (size_t i = 0; i < parts.size(); ++i)
      x = slice(x, static_cast<int>(i), parts[i].start, parts[i].count,
                parts[i].count > 1 ? parts[i].step : 1);
    return n.set_known(0, reshape(x, y));
  }
  const bool whole = parts.empty() || n.dims(0)[0] != 1;
  Dims starts, ends, axes, steps;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& [start, count, step] = parts[i];
    if (count < 1) n.fail("nothing is left of axis {}", i);
    if (start == 0 && count == n.dims(0)[i]) continue;
    const int64_t last = start + (count - 1) * step;
    starts.push_back(start);
    ends.push_back(step > 0 ? last + 1 : last == 0 ? INT64_MIN : last - 1);
    axes.push_back(static_cast<int64_t>(i) + (whole ? 1 : 0));
    steps.push_back(count == 1 ? 1 : step);
    if (count == 1) ends.back() = start + 1;
  }
  if (axes.empty()) return n.alias(0, 0, y);
  std::string value = n.emit("Slice", {n.value(0, whole ? n.dims(0) : example(n.dims(0))),
                                       n.ints(starts), n.ints(ends), n.ints(axes), n.ints(steps)});
  const Dims form = whole ? taken : example(taken);
  if (form != example(y)) value = n.reshape(value, example(y));
  n.set(0, value, y);
}

// Pieces along an axis, of these sizes.
void split(TfliteNode& n, int input, const Dims& sizes, int axis) {
  const Dims& from = n.dims(input);
  if (std::ssize(sizes) != n.output_count())
    n.fail("{} sizes for {} outputs", sizes.size(), n.output_count());
  int64_t sum = 0;
  for (const int64_t size : sizes) {
    if (size < 1 || size > from[static_cast<size_t>(axis)]) n.fail("sizes {}", dims_text(sizes));
    sum += size;
  }
  if (sum != from[static_cast<size_t>(axis)])
    n.fail("sizes {} of an axis of {}", dims_text(sizes), from[static_cast<size_t>(axis)]);
  const bool whole = axis == 0 || from[0] != 1;
  int64_t start = 0;
  std::vector<std::string> values;
  if (!n.is_known(input))
    values = n.emit_many("Split", {n.value(input, whole ? from : example(from)), n.ints(sizes)},
                         {{"axis", int64_t{axis + (whole ? 1 : 0)}}}, n.output_count());
  for (int i = 0; i < n.output_count(); ++i) {
    const int64_t size = sizes[static_cast<size_t>(i)];
    Dims y = from;
    y[static_cast<size_t>(axis)] = size;
    if (n.is_known(input))
      n.set_known(i, slice(n.known(input, "input"), axis, start, size, 1));
    else
      n.set(i, values[static_cast<size_t>(i)], y, whole ? y : example(y));
    start += size;
  }
}

int one_axis(const TfliteNode& n, int input, int rank) {
  const Dims given = n.ints(input, "axis");
  if (given.size() != 1) n.fail("{} axes", given.size());
  return n.axis(given[0], rank);
}

// Rows of a table by ids, which may be computed.
void take_rows(TfliteNode& n, int table, int ids) {
  Dims y = n.dims(ids), form = example(y);
  for (Dims* to : {&y, &form})
    to->insert(to->end(), n.dims(table).begin() + 1, n.dims(table).end());
  n.set(0, n.emit("Gather", {n.value(table, {}), n.value(ids)}, {{"axis", int64_t{0}}}), y, form);
}

}  // namespace

void translate_SLICE(TfliteNode& n) {
  const Dims begin = n.ints(1, "begin"), size = n.ints(2, "size");
  if (begin.size() != n.dims(0).size() || size.size() != begin.size())
    n.fail("begin {} and size {} of {}", dims_text(begin), dims_text(size), dims_text(n.dims(0)));
  std::vector<Part> parts;
  Dims y;
  for (size_t i = 0; i < begin.size(); ++i) {
    const int64_t all = n.dims(0)[i];
    if (begin[i] < 0 || begin[i] > all || size[i] < -1 || size[i] > all - begin[i])
      n.fail("begin {} and size {} of {}", dims_text(begin), dims_text(size), dims_text(n.dims(0)));
    parts.push_back({begin[i], size[i] < 0 ? all - begin[i] : size[i], 1});
    y.push_back(parts.back().count);
  }
  take_parts(n, parts, y);
}

// As NumPy's x[begin:end:stride, ...]: masks say what is left out, dropped, or new.
void translate_STRIDED_SLICE(TfliteNode& n) {
  const auto& o = n.options(n.op().builtin_options_as_StridedSliceOptions());
  const Dims begin = n.ints(1, "begin"), end = n.ints(2, "end"), stride = n.ints(3, "strides");
  if (end.size() != begin.size() || stride.size() != begin.size() || begin.size() > kMaxRank)
    n.fail("begin, end and strides of different lengths, or too many");
  if (o.offset()) n.fail("ends that are counted from the start");
  const auto bit = [](int32_t mask, size_t i) { return (mask >> i & 1) != 0; };
  size_t axes = 0;  // that the entries are about
  for (size_t i = 0; i < begin.size(); ++i)
    axes += !bit(o.new_axis_mask(), i) && !bit(o.ellipsis_mask(), i);
  const Dims& from = n.dims(0);
  if (axes > from.size()) n.fail("{} indices for {}", axes, dims_text(from));
  std::vector<Part> parts;
  Dims y;
  const auto take_all = [&](size_t count) {
    for (; count > 0; --count) {
      y.push_back(from[parts.size()]);
      parts.push_back({0, y.back(), 1});
    }
  };
  bool open = false;  // an ellipsis was there
  for (size_t i = 0; i < begin.size(); ++i) {
    if (bit(o.ellipsis_mask(), i)) {
      if (open) n.fail("two ellipses");
      open = true;
      take_all(from.size() - axes);
      continue;
    }
    if (bit(o.new_axis_mask(), i)) {
      y.push_back(1);
      continue;
    }
    const int64_t size = from[parts.size()], step = stride[i];
    const auto at = [&](int64_t place) { return place < 0 ? place + size : place; };
    if (bit(o.shrink_axis_mask(), i)) {
      if (at(begin[i]) < 0 || at(begin[i]) >= size) n.fail("index {} of {}", begin[i], size);
      parts.push_back({at(begin[i]), 1, 1});
      continue;
    }
    if (step == 0 || step < -kMaxComputedElements || step > kMaxComputedElements)
      n.fail("a stride of {}", step);
    const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
    const int64_t first =
        bit(o.begin_mask(), i) ? (step > 0 ? 0 : size - 1) : std::clamp(at(begin[i]), least, most);
    const int64_t behind =
        bit(o.end_mask(), i) ? (step > 0 ? size : -1) : std::clamp(at(end[i]), least, most);
    const int64_t distance = step > 0 ? behind - first : first - behind;
    parts.push_back({first, distance <= 0 ? 0 : (distance - 1) / std::abs(step) + 1, step});
    y.push_back(parts.back().count);
  }
  take_all(from.size() - parts.size());
  take_parts(n, parts, y);
}

void translate_REVERSE_V2(TfliteNode& n) {
  std::vector<Part> parts;
  for (const int64_t size : n.dims(0)) parts.push_back({0, size, 1});
  for (const int64_t given : n.ints(1, "axes")) {
    Part& part = parts[static_cast<size_t>(n.axis(given, n.rank(0)))];
    part = {part.count - 1, part.count, -1};
  }
  take_parts(n, parts, n.dims(0));
}

void translate_SPLIT(TfliteNode& n) {
  const int axis = one_axis(n, 0, n.rank(1));
  const int64_t size = n.dims(1)[static_cast<size_t>(axis)];
  const int64_t count = n.options(n.op().builtin_options_as_SplitOptions()).num_splits();
  if (count < 1 || size % count != 0) n.fail("{} elements do not divide into {}", size, count);
  split(n, 1, Dims(static_cast<size_t>(count), size / count), axis);
}

void translate_SPLIT_V(TfliteNode& n) {
  const int axis = one_axis(n, 2, n.rank(0));
  Dims sizes = n.ints(1, "sizes");
  int64_t rest = n.dims(0)[static_cast<size_t>(axis)];
  for (const int64_t size : sizes)
    if (size > 0 && size <= rest) rest -= size;
  std::replace(sizes.begin(), sizes.end(), int64_t{-1}, rest);
  split(n, 0, sizes, axis);
}

// The axis is gone from each output.
void translate_UNPACK(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_UnpackOptions());
  const int axis = n.axis(options.axis(), n.rank(0));
  const Dims& from = n.dims(0);
  if (from[static_cast<size_t>(axis)] != n.output_count())
    n.fail("{} outputs of axis {} of {}", n.output_count(), axis, dims_text(from));
  Dims y = from;
  y.erase(y.begin() + axis);
  for (int i = 0; i < n.output_count(); ++i) {
    if (n.is_known(0)) {
      n.set_known(i, reshape(slice(n.known(0, "input"), axis, i, 1, 1), y));
      continue;
    }
    const std::string part =
        n.emit("Slice", {n.value(0, from), n.ints({i}), n.ints({i + 1}), n.ints({axis + 1})});
    n.set(i, n.reshape(part, example(y)), y);
  }
}

void translate_GATHER(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_GatherOptions());
  const int axis = n.axis(options.axis(), n.rank(0));
  if (options.batch_dims() != 0 && !n.is_known(1)) n.fail("{} batch axes", options.batch_dims());
  if (n.all_known())
    return n.set_known(0, gather(n.known(0, "input"), n.known(1, "indices"), axis));
  if (n.is_known(0)) {
    if (axis != 0) n.fail("computed indices of axis {}", axis);
    return take_rows(n, 0, 1);
  }
  const Dims& from = n.dims(0);
  Dims y(from.begin(), from.begin() + axis);
  y.insert(y.end(), n.dims(1).begin(), n.dims(1).end());
  y.insert(y.end(), from.begin() + axis + 1, from.end());
  for (const int64_t index : n.ints(1, "indices"))
    if (index < 0 || index >= from[static_cast<size_t>(axis)])
      n.fail("index {} of an axis of {}", index, from[static_cast<size_t>(axis)]);
  const bool whole = axis == 0 || from[0] != 1;
  n.set(0,
        n.emit("Gather",
               {n.value(0, whole ? from : example(from)), n.weight(1, identity_perm(n.rank(1)))},
               {{"axis", int64_t{axis + (whole ? 1 : 0)}}}),
        y, whole ? y : example(y));
}

void translate_EMBEDDING_LOOKUP(TfliteNode& n) {
  n.known(1, "table");
  if (n.is_known(0) || n.rank(1) < 1) n.fail("a table of shape {}", dims_text(n.dims(1)));
  take_rows(n, 1, 0);
}

}  // namespace attune
