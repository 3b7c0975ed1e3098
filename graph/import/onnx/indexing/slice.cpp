#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/indexing/places.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

// Where a slice begins, and how many elements it has, by ONNX's rules for a bound out of range.
struct Extent {
  int64_t start, count;
};
Extent slice_extent(int64_t size, int64_t start, int64_t end, int64_t step) {
  const auto from_end = [&](int64_t i) { return i < 0 && i >= -size ? i + size : i; };
  const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
  const auto bound = [&](int64_t i) {
    i = from_end(i);
    return i < 0 ? least : std::min(i, most);
  };
  start = bound(start);
  end = bound(end);
  if (step < 0 && start < 0) return {0, 0};
  const int64_t distance = step > 0 ? end - start : start - end;
  // A step longer than the axis takes one element; so no negation overflows.
  const int64_t stride = step > 0 ? step : step < -size ? size + 1 : -step;
  return {start, distance <= 0 ? 0 : (distance - 1) / stride + 1};
}

}  // namespace

void import_Slice(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const bool attributes = n.opset() < 10;
  const Dims starts = attributes ? n.ints("starts") : n.known_ints(1, "starts");
  const Dims ends = attributes ? n.ints("ends") : n.known_ints(2, "ends");
  Dims axes, steps(starts.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (attributes && n.has_attribute("axes")) axes = n.ints("axes");
  if (!attributes && n.has(3)) axes = n.known_ints(3, "axes");
  if (!attributes && n.has(4)) steps = n.known_ints(4, "steps");
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    n.fail("starts, ends, axes and steps of different lengths");
  KnownTensor known;
  const bool keeps = stays_known(n, 0);
  if (keeps) known = n.known(0, "input");
  const bool strides = std::any_of(steps.begin(), steps.end(), [](int64_t s) { return s != 1; });
  ValueId x = keeps ? kNone : n.is_known(0) ? n.operand(0) : strides ? n.value(0) : n.stored(0);
  Dims result = dims;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int axis = normal_axis(axes[i], rank);
    if (steps[i] == 0) n.fail("a step of zero");
    const Extent extent = slice_extent(result[axis], starts[i], ends[i], steps[i]);
    const bool all = extent.count == result[axis] && extent.start == 0;
    result[axis] = extent.count;
    if (all && (steps[i] == 1 || extent.count <= 1)) continue;
    const int64_t step = extent.count > 1 ? steps[i] : 1;
    if (keeps) {
      known = slice(known, axis, extent.start, extent.count, step);
      continue;
    }
    if (extent.count == 0) n.fail("nothing is left of axis {}", axis);
    Dims places;
    for (int64_t k = 0; k < extent.count; ++k) places.push_back(extent.start + k * step);
    x = select(n, x, axis, places, i + 1 < starts.size() ? "slice" : nullptr);
  }
  if (!keeps) return n.set(0, x);
  n.set(0, std::move(known));
}

// Outputs are as long as `split` says, else all alike (the last one shorter from opset 18 on).
void import_Split(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int axis = normal_axis(n.integer("axis", 0), static_cast<int>(dims.size()));
  Dims sizes;
  if (const auto given = n.ints_of("split", 1)) {
    sizes = *given;
  } else {
    const int64_t parts = n.integer("num_outputs", n.output_count());
    if (parts != n.output_count()) n.fail("num_outputs {} of {}", parts, n.output_count());
    const int64_t size = (dims[axis] + parts - 1) / parts;
    if (!n.has_attribute("num_outputs") && dims[axis] % parts != 0)
      n.fail("{} elements do not divide into {}", dims[axis], parts);
    int64_t left = dims[axis];
    for (int64_t i = 0; i < parts; ++i) {
      sizes.push_back(std::min(size, left));
      left -= sizes.back();
    }
  }
  if (sizes.size() != static_cast<size_t>(n.output_count()))
    n.fail("{} sizes for {} outputs", sizes.size(), n.output_count());
  int64_t start = 0;
  for (int i = 0; i < n.output_count(); ++i) {
    if (sizes[i] < 0 || sizes[i] > dims[axis] - start)
      n.fail("sizes {} of an axis of {}", dims_text(sizes), dims[axis]);
    if (stays_known(n, 0)) {
      n.set(i, slice(n.known(0, "input"), axis, start, sizes[i], 1));
    } else if (n.wants(i)) {
      const std::string suffix = fmt::format("split{}", i);
      n.set(i, n.slice(n.is_known(0) ? n.operand(0) : n.stored(0), axis, start, sizes[i],
                       suffix.c_str()));
    }
    start += sizes[i];
  }
  if (start != dims[axis]) n.fail("sizes {} of an axis of {}", dims_text(sizes), dims[axis]);
}

void import_Concat(OnnxNode& n) {
  if (n.input_count() == 0) n.fail("it has no inputs");
  const int axis = normal_axis(n.integer("axis", 1), n.rank(0));
  bool known = true;
  for (int i = 0; i < n.input_count(); ++i) known = known && stays_known(n, i);
  if (known) {
    std::vector<KnownTensor> parts;
    for (int i = 0; i < n.input_count(); ++i) parts.push_back(n.known(i, "part"));
    return n.set(0, concat(parts, axis));
  }
  std::vector<ValueId> parts;
  for (int i = 0; i < n.input_count(); ++i)
    if (!n.is_known(i) || n.known(i, "part").elements() > 0) parts.push_back(n.operand(i));
  if (parts.size() == 1) return n.set(0, parts[0]);
  n.set(0, n.emit(Op::concat, AxisAttrs{axis}, parts));
}

}  // namespace attune
