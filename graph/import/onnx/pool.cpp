#include "graph/import/onnx/pool.h"

namespace attune {
namespace {

// How many elements of each window are inside the image and this padding before and after it, as
// what multiplies an average over all of them: [1,D',H',W',1].
ValueId counted(const OnnxNode& n, const Window& w, const Window& padding, bool deep) {
  std::vector<double> factors = {1};
  Dims dims = {1};
  for (int i = deep ? 0 : 1; i < 3; ++i) {
    std::vector<double> outer = std::exchange(factors, {});
    dims.push_back(w.output[i]);
    for (const double factor : outer)
      for (int64_t o = 0; o < w.output[i]; ++o) {
        int64_t inside = 0;
        for (int64_t k = 0; k < w.kernel[i]; ++k)
          inside +=
              o * w.stride[i] + k * w.dilation[i] < w.before[i] + w.size[i] + padding.after[i];
        factors.push_back(factor * static_cast<double>(w.kernel[i]) / static_cast<double>(inside));
      }
  }
  dims.push_back(1);
  return n.constant(dims, std::move(factors), "counted");
}

}  // namespace

// Each axis of a window is pooled by itself, so depth is pooled as the rows of what is left of the
// images.
ValueId pool(const OnnxNode& n, Op op, ValueId x, const Window& w, bool count_padding,
             const char* suffix) {
  Pool2dAttrs attrs;
  set_window(&attrs, w);
  attrs.kernel_h = static_cast<int32_t>(w.kernel[1]);
  attrs.kernel_w = static_cast<int32_t>(w.kernel[2]);
  attrs.count_padding = count_padding;
  const Dims dims = to_dims(n.shape(x));
  if (dims.size() == 4) return n.emit(op, attrs, {x}, suffix);
  const int64_t examples = dims[0], channels = dims[4], *size = w.output;
  x = n.reshape(x, {examples * dims[1], dims[2], dims[3], channels}, "images");
  x = n.emit(op, attrs, {x}, "images");
  x = n.reshape(x, {examples, dims[1], size[1] * size[2], channels}, "depth");
  Pool2dAttrs depth;
  depth.kernel_h = static_cast<int32_t>(w.kernel[0]);
  depth.stride_h = static_cast<int32_t>(w.stride[0]);
  depth.dilation_h = static_cast<int32_t>(w.dilation[0]);
  depth.pad_top = static_cast<int32_t>(w.before[0]);
  depth.pad_bottom = static_cast<int32_t>(w.after[0]);
  depth.count_padding = count_padding;
  x = n.emit(op, depth, {x}, "depth");
  return n.reshape(x, {examples, size[0], size[1], size[2], channels}, suffix);
}

void import_MaxPool(OnnxNode& n) {
  if (n.wants(1))
    n.fail(
        "its output 1, where the maxima are, is read (by MaxUnpool, perhaps), which is not "
        "supported; "
        "upsample by Resize or ConvTranspose instead");
  // storage_order concerns the indices alone.
  const Window window = read_window(n, n.ints("kernel_shape"), n.integer("ceil_mode", 0) != 0);
  set_image_output(n, pool(n, Op::max_pool2d, image_input(n, n.value(0)), window, false));
}

void import_AveragePool(OnnxNode& n) {
  const Dims kernel = n.ints("kernel_shape");
  const bool ceil_mode = n.integer("ceil_mode", 0) != 0;
  Window window = read_window(n, kernel, ceil_mode);
  bool count_padding = n.integer("count_include_pad", 0) != 0;
  // Elements that only rounding up adds are never counted, while the padding may be.
  const Window floor = read_window(n, kernel, false);
  bool partly = false;
  if (count_padding && !floor.padded()) count_padding = false;
  for (int i = 0; i < 3; ++i) partly |= count_padding && window.after[i] > floor.after[i];
  ValueId x = kNone;
  if (n.padding(0) != nullptr && !window.padded()) {
    // An average over zeros that a Pad node added counts them.
    x = absorb_padding(n, &window);
    if (window.padded()) count_padding = true;
  } else {
    x = n.value(0);
  }
  x = image_input(n, x);
  const bool deep = n.rank(0) == 5;
  ValueId y = pool(n, Op::avg_pool2d, x, window, count_padding, partly ? "average" : nullptr);
  if (partly) y = n.emit(Op::mul, NoAttrs{}, {y, counted(n, window, floor, deep)});
  set_image_output(n, y);
}

void import_GlobalMaxPool(OnnxNode& n) {
  const Dims dims = n.dims(0);
  if (dims.size() < 3 || dims.size() > 5) n.fail("its input has shape {}", dims_text(dims));
  const int64_t rows = dims.size() == 3 ? 1 : dims[2];
  const int64_t columns = count_elements(Dims(dims.begin() + 2, dims.end())) / rows;
  Pool2dAttrs attrs;
  attrs.kernel_h = static_cast<int32_t>(rows);
  attrs.kernel_w = static_cast<int32_t>(columns);
  const ValueId x = n.to_channels_last(n.value(0));
  const ValueId image = n.reshape(x, {dims[0], rows, columns, dims[1]}, "image");
  Dims result(dims.size(), 1);
  result.front() = dims[0];
  result.back() = dims[1];
  const ValueId y = n.emit(Op::max_pool2d, attrs, {image}, dims.size() == 4 ? nullptr : "maximum");
  n.set_channels_last(0, n.reshape(y, result, nullptr));
}

}  // namespace attune
