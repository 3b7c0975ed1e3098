#include <algorithm>

#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

constexpr int64_t kLargest = int64_t{1} << 30;  // so that sums do not overflow

}  // namespace

// Constant padding. The operator that reads it takes zeros over where it can, else they are
// concatenated. Negative padding cuts.
void import_Pad(OnnxNode& n) {
  const std::string mode = n.text("mode", "constant");
  if (mode != "constant") n.fail("mode {}", mode);
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
  padding.x = n.value(0);
  padding.before.assign(rank, 0);
  padding.after.assign(rank, 0);
  padding.value = value;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t before = pads[i], after = pads[axes.size() + i];
    const int axis = axes[i];
    for (const int64_t pad : {before, after})
      if (pad < -kLargest || pad > kLargest) n.fail("padding {}, {}", before, after);
    if (std::count(axes.begin(), axes.end(), axis) > 1) n.fail("axis {} is padded twice", axis);
    const int64_t cut = std::max<int64_t>(-before, 0) + std::max<int64_t>(-after, 0);
    if (cut >= dims[axis]) n.fail("nothing is left of axis {}", axis);
    padding.x = n.slice(padding.x, axis, std::max<int64_t>(-before, 0), dims[axis] - cut, "cut");
    padding.before[axis] = std::max<int64_t>(before, 0);
    padding.after[axis] = std::max<int64_t>(after, 0);
  }
  const auto none = [](const Dims& d) {
    return std::all_of(d.begin(), d.end(), [](int64_t p) { return p == 0; });
  };
  if (none(padding.before) && none(padding.after)) return n.set(0, padding.x);
  n.set_padded(0, std::move(padding));
}

}  // namespace attune
