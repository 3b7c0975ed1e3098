#include "graph/import/onnx/layers/window.h"

#include <algorithm>

namespace attune {
namespace {

// Padding that makes outputs = ceil(size / stride), the odd element behind (SAME_UPPER) or before.
void pad_same(Window* w, int i, bool upper) {
  const int64_t outputs = (w->size[i] + w->stride[i] - 1) / w->stride[i];
  const int64_t total =
      std::max<int64_t>((outputs - 1) * w->stride[i] + w->extent(i) - w->size[i], 0);
  w->before[i] = upper ? total / 2 : total - total / 2;
  w->after[i] = total - w->before[i];
}

// The last window may stand out behind the padded image, but must start inside the image or before
// it.
void extend_for_ceil(Window* w, int i) {
  const int64_t room = w->size[i] + w->before[i] + w->after[i] - w->extent(i);
  int64_t outputs = (room + w->stride[i] - 1) / w->stride[i] + 1;
  if ((outputs - 1) * w->stride[i] >= w->size[i] + w->before[i]) --outputs;
  const int64_t needed = (outputs - 1) * w->stride[i] + w->extent(i) - w->size[i] - w->before[i];
  w->after[i] = std::max<int64_t>(needed, 0);
}

}  // namespace

void check_range(const OnnxNode& n, const char* what, int64_t value, int64_t least) {
  constexpr int64_t kLargest = 1 << 24;
  if (value < least || value > kLargest) n.fail("{} {}", what, value);
}

Window read_window(const OnnxNode& n, const Dims& kernel, bool ceil_mode) {
  const Dims dims = n.dims(0);
  const int axes = static_cast<int>(dims.size()) - 2;
  if (axes < 1 || axes > 3)
    n.fail("its input has shape {}; one to three spatial axes are supported", dims_text(dims));
  if (kernel.size() != static_cast<size_t>(axes))
    n.fail("a kernel of {} axes for {}", kernel.size(), dims_text(dims));
  const Dims ones(axes, 1);
  const Dims strides = n.ints("strides", ones), dilations = n.ints("dilations", ones);
  const Dims pads = n.ints("pads", Dims(2 * axes, 0));
  if (strides.size() != ones.size() || dilations.size() != ones.size() ||
      pads.size() != 2 * ones.size())
    n.fail("strides, dilations or pads of another number of axes");
  const std::string auto_pad = n.text("auto_pad", "NOTSET");
  Window w;
  for (int a = 0; a < axes; ++a) {
    const int i = a + 3 - axes;
    w.size[i] = dims[2 + a];
    w.kernel[i] = kernel[a];
    w.stride[i] = strides[a];
    w.dilation[i] = dilations[a];
    check_range(n, "kernel of", kernel[a], 1);
    check_range(n, "stride", strides[a], 1);
    check_range(n, "dilation", dilations[a], 1);
    check_range(n, "image of", w.size[i], 1);
    check_range(n, "a window of", w.extent(i), 1);
    if (auto_pad == "NOTSET") {
      check_range(n, "padding", w.before[i] = pads[a], 0);
      check_range(n, "padding", w.after[i] = pads[axes + a], 0);
    } else if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      pad_same(&w, i, auto_pad == "SAME_UPPER");
    } else if (auto_pad != "VALID") {
      n.fail("auto_pad {}", auto_pad);
    }
    const int64_t room = w.size[i] + w.before[i] + w.after[i] - w.extent(i);
    if (room < 0)
      n.fail("a window of {} does not fit into {} elements, padding included", w.extent(i),
             room + w.extent(i));
    if (ceil_mode) extend_for_ceil(&w, i);
    w.output[i] = (w.size[i] + w.before[i] + w.after[i] - w.extent(i)) / w.stride[i] + 1;
  }
  return w;
}

ValueId image_input(const OnnxNode& n, ValueId x) {
  x = n.to_channels_last(x);
  const Dims dims = to_dims(n.shape(x));
  if (dims.size() != 3) return x;
  return n.reshape(x, {dims[0], 1, dims[1], dims[2]}, "image");
}

void set_image_output(const OnnxNode& n, ValueId y) {
  if (n.rank(0) == 3) {
    const Dims dims = to_dims(n.shape(y));
    y = n.reshape(y, {dims[0], dims[2], dims[3]}, "sequence");
  }
  n.set_channels_last(0, y);
}

ValueId absorb_padding(const OnnxNode& n, Window* window) {
  const auto padding = n.padding(0);
  if (padding == nullptr || padding->value != 0) return n.value(0);
  const int rank = n.rank(0);
  Window w = *window;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t before = padding->before[axis], after = padding->after[axis];
    if (axis < 2 && before + after > 0) return n.value(0);
    if (axis < 2) continue;
    const int i = axis + 3 - rank;
    w.size[i] -= before + after;
    w.before[i] += before;
    w.after[i] += after;
    if (w.before[i] >= w.extent(i) || w.after[i] >= w.extent(i)) return n.value(0);
  }
  *window = w;
  return padding->x;
}

}  // namespace attune
