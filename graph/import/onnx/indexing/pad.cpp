#include <algorithm>
#include <numeric>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/indexing/places.h"

namespace attune {
namespace {

constexpr int64_t kLargestPadding = int64_t{1} << 30;  // so that sums do not overflow

// Which element of an axis is seen at place i, which may be before or behind it.
int64_t seen_at(const OnnxNode& n, const std::string& mode, int64_t i, int64_t size) {
  if (mode == "edge") return std::clamp<int64_t>(i, 0, size - 1);
  if (mode == "wrap") return (i % size + size) % size;
  if (mode != "reflect") n.fail("mode {}", mode);
  if (size == 1) return 0;
  const int64_t there_and_back = 2 * (size - 1);
  i = (i % there_and_back + there_and_back) % there_and_back;
  return std::min(i, there_and_back - i);
}

// A constant around input 0, where it is not cut.
void set_padding(OnnxNode& n, Padding padding) {
  padding.x = n.operand(0);
  const Dims dims = n.dims(0);
  bool none = true;
  for (int axis = 0; axis < static_cast<int>(dims.size()); ++axis) {
    int64_t &before = padding.before[axis], &after = padding.after[axis];
    const int64_t first = std::max<int64_t>(-before, 0);
    const int64_t left = dims[axis] - first - std::max<int64_t>(-after, 0);
    padding.x = n.slice(padding.x, axis, first, left, "cut");
    before = std::max<int64_t>(before, 0);
    after = std::max<int64_t>(after, 0);
    none = none && before == 0 && after == 0;
  }
  none ? n.set(0, padding.x) : n.set_padded(0, std::move(padding));
}

// Elements of the tensor itself around it.
void pad_by_own(OnnxNode& n, const std::string& mode, const Padding& pads) {
  const bool keeps = stays_known(n, 0);
  KnownTensor known;
  if (keeps) known = n.known(0, "input");
  ValueId x = keeps ? kNone : n.operand(0);
  const Dims dims = n.dims(0);
  for (int axis = 0; axis < static_cast<int>(dims.size()); ++axis) {
    const int64_t before = pads.before[axis], after = pads.after[axis];
    const int64_t first = std::max<int64_t>(-before, 0);
    const int64_t left = dims[axis] - first - std::max<int64_t>(-after, 0);
    if (left + before + after > kMaxComputedElements) n.fail("padding {}, {}", before, after);
    Dims places;
    for (int64_t i = std::min<int64_t>(-before, 0); i < left + std::max<int64_t>(after, 0); ++i)
      places.push_back(first + seen_at(n, mode, i, left));
    if (keeps)
      known = gather(known, vector_of(places), axis);
    else
      x = select(n, x, axis, places, "pad");
  }
  keeps ? n.set(0, std::move(known)) : n.set(0, x);
}

}  // namespace

// A constant around it, which the operator that reads it takes over where it can, and else is
// concatenated; or elements of the tensor. Negative padding cuts.
void import_Pad(OnnxNode& n) {
  const std::string mode = n.text("mode", "constant");
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const Dims pads = n.opset() < 11 ? n.ints("pads") : n.known_ints(1, "pads");
  double value = n.real("value", 0);
  if (n.has(2)) value = n.known_scalar(2, "value");
  std::vector<int> axes = identity_perm(rank);
  if (n.has(3)) {
    axes.clear();
    for (int64_t axis : n.known_ints(3, "axes")) axes.push_back(normal_axis(axis, rank));
  }
  if (pads.size() != 2 * axes.size()) n.fail("{} pads for {} axes", pads.size(), axes.size());
  Padding padding;
  padding.before.assign(rank, 0);
  padding.after.assign(rank, 0);
  padding.value = value;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t before = pads[i], after = pads[axes.size() + i];
    const int axis = axes[i];
    for (const int64_t pad : {before, after})
      if (pad < -kLargestPadding || pad > kLargestPadding) n.fail("padding {}, {}", before, after);
    if (std::count(axes.begin(), axes.end(), axis) > 1) n.fail("axis {} is padded twice", axis);
    const int64_t cut = std::max<int64_t>(-before, 0) + std::max<int64_t>(-after, 0);
    if (cut >= dims[axis]) n.fail("nothing is left of axis {}", axis);
    padding.before[axis] = before;
    padding.after[axis] = after;
  }
  if (mode != "constant") return pad_by_own(n, mode, padding);
  set_padding(n, std::move(padding));
}

// Half of what is too much is cut on each side, or of what is missing filled with zeros.
void import_CenterCropPad(OnnxNode& n) {
  const Dims dims = n.dims(0), wanted = n.known_ints(1, "shape");
  const int rank = static_cast<int>(dims.size());
  Dims axes(dims.size());
  std::iota(axes.begin(), axes.end(), 0);
  axes = n.ints("axes", axes);
  if (axes.size() != wanted.size()) n.fail("{} sizes of {} axes", wanted.size(), axes.size());
  Padding padding;
  padding.before.assign(rank, 0);
  padding.after.assign(rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = normal_axis(axes[i], rank);
    if (wanted[i] < 1 || wanted[i] > kLargestPadding) n.fail("shape {}", dims_text(wanted));
    const int64_t missing = wanted[i] - dims[axis];
    const int64_t before = missing < 0 ? -(-missing / 2) : missing / 2;
    padding.before[axis] = before;
    padding.after[axis] = missing - before;
  }
  set_padding(n, std::move(padding));
}

}  // namespace attune
