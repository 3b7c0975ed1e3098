#include "graph/import/onnx/layers/pool.h"

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

namespace {

// Where the maxima are, counted over the whole input, as ONNX has it: from h * W + w of each image.
void set_places(OnnxNode& n, ValueId places, const Window& w) {
  const int64_t rows = w.size[1], columns = w.size[2], all = rows * columns;
  ValueId y = n.emit(Op::to_real, NoAttrs{}, {places}, "places");
  if (n.integer("storage_order", 0) != 0) {
    // Column by column: w * H + h.
    const auto width = static_cast<double>(columns);
    const ValueId shares = n.emit(Op::scale, ScaleAttrs{1 / width, 0.5 / width}, {y}, "shares");
    const ValueId row = n.emit(Op::floor, NoAttrs{}, {shares}, "row");
    const auto height = static_cast<double>(rows);
    const ValueId less = n.emit(Op::scale, ScaleAttrs{width * height - 1, 0}, {row}, "less");
    y = n.emit(Op::scale, ScaleAttrs{height, 0}, {y}, "by_column");
    y = n.emit(Op::sub, NoAttrs{}, {y, less}, "by_column");
  }
  const int64_t examples = n.dims(0)[0], channels = n.dims(0)[1];
  std::vector<double> starts;
  for (int64_t i = 0; i < examples * channels; ++i) starts.push_back(static_cast<double>(i * all));
  const ValueId start = n.constant({examples, 1, 1, channels}, std::move(starts), "starts");
  y = n.transpose(n.emit(Op::add, NoAttrs{}, {y, start}, "places"), {0, 3, 1, 2}, "places");
  Dims dims = {examples, channels, w.output[1], w.output[2]};
  if (n.rank(0) == 3) dims.erase(dims.begin() + 2);
  n.set(1, n.reshape(y, dims, "places"), ElementType::i64);
}

}  // namespace

void import_MaxPool(OnnxNode& n) {
  const Window window = read_window(n, n.ints("kernel_shape"), n.integer("ceil_mode", 0) != 0);
  if (n.wants(1) && n.rank(0) == 5)
    n.fail("its output 1, where the maxima are, is not supported with three spatial axes");
  const ValueId y = pool(n, Op::max_pool2d, image_input(n, n.value(0)), window, false);
  const ValueId places = n.wants(1) ? n.also(1) : kNone;
  set_image_output(n, y);
  if (places != kNone) set_places(n, places, window);
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
