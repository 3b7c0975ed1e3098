// Depth, by what is there for images: its windows beside each other in the channels.
#include "graph/import/onnx/layers/window.h"

namespace attune {
namespace {

bool counts_up(const Dims& places) {
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// Where the elements of depth windows lie, window after window.
Dims depth_places(const Window& w, int64_t windows) {
  Dims places;
  for (int64_t d = 0; d < windows; ++d)
    for (int64_t k = 0; k < w.kernel[0]; ++k) places.push_back(d * w.stride[0] + k * w.dilation[0]);
  return places;
}

}  // namespace

// The places of a window stand behind each channel, as in a weight [O,C,KD,KH,KW].
ValueId depth_windows(const OnnxNode& n, ValueId x, const Window& w) {
  x = n.pad(x, 1, w.before[0], w.after[0], 0);
  const Dims places = depth_places(w, w.output[0]);
  if (!counts_up(places) || n.shape(x)[1] != static_cast<int64_t>(places.size()))
    x = n.emit(Op::select, AxisAttrs{1}, {x, n.place_list(places, "depth")}, "windows");
  const Dims dims = to_dims(n.shape(x));  // [N, D'*KD, H, W, C]
  const int64_t images = dims[0] * w.output[0], depth = w.kernel[0];
  if (depth > 1) {
    x = n.reshape(x, {dims[0], w.output[0], depth, dims[2], dims[3], dims[4]}, "windows");
    x = n.transpose(x, {0, 1, 3, 4, 5, 2}, "windows");
  }
  return n.reshape(x, {images, dims[2], dims[3], dims[4] * depth}, "images");
}

ValueId sum_depth_windows(const OnnxNode& n, ValueId y, const Window& w, int64_t windows) {
  const Dims dims = to_dims(n.shape(y));  // [N*D', H, W, C*KD]
  const int64_t examples = dims[0] / windows, depth = w.kernel[0], channels = dims[3] / depth;
  if (depth > 1) {
    y = n.reshape(y, {examples, windows, dims[1], dims[2], channels, depth}, "windows");
    y = n.transpose(y, {0, 1, 5, 2, 3, 4}, "windows");
  }
  y = n.reshape(y, {examples, windows * depth, dims[1], dims[2], channels}, "windows");
  const Dims places = depth_places(w, windows);
  const int64_t all = std::max(places.back() + 1, w.before[0] + w.size[0]);
  if (!counts_up(places) || all != static_cast<int64_t>(places.size())) {
    const Shape shape = to_shape({examples, all, dims[1], dims[2], channels});
    y = n.emit(Op::scatter_add, AxisAttrs{1}, {y, n.place_list(places, "depth")}, "sum", &shape);
  }
  return n.slice(y, 1, w.before[0], w.size[0], "inside");
}

}  // namespace attune
