#include "graph/import/onnx/layers/window.h"

namespace attune {
namespace {

// What a transposed convolution makes of an axis: the windows, as many as its input has places, lie
// over the output (`size`), of which `rest` elements at the end are in none.
struct Axis {
  int64_t size, before, after, rest;
};

class Reader {
 public:
  Reader(const OnnxNode& n, int axes)
      : n_(n),
        axes_(axes),
        auto_pad_(n.text("auto_pad", "NOTSET")),
        pads_(numbers("pads", 2 * axes, 0)),
        extra_(numbers("output_padding", axes, 0)),
        shape_(n.ints("output_shape")) {
    if (shape_.size() == static_cast<size_t>(axes) + 2)
      shape_.erase(shape_.begin(), shape_.begin() + 2);
    if (!shape_.empty() && shape_.size() != static_cast<size_t>(axes))
      n.fail("output_shape {} for {} spatial axes", dims_text(shape_), axes);
    if (auto_pad_ != "NOTSET" && auto_pad_ != "VALID" && auto_pad_ != "SAME_UPPER" &&
        auto_pad_ != "SAME_LOWER")
      n.fail("auto_pad {}", auto_pad_);
  }

  Dims numbers(const char* name, int count, int64_t otherwise) const {
    const Dims given = n_.ints(name, Dims(static_cast<size_t>(count), otherwise));
    if (given.size() != static_cast<size_t>(count)) n_.fail("{} {}", name, dims_text(given));
    return given;
  }

  Axis read(int a, int64_t windows, int64_t stride, int64_t extent) const {
    check_range(n_, "output_padding", extra_[a], 0);
    const int64_t all = stride * (windows - 1) + extent + extra_[a];
    Axis axis{all, 0, 0, 0};
    if (!shape_.empty() || auto_pad_.starts_with("SAME")) {
      axis.size = shape_.empty() ? windows * stride : shape_[a];
      check_range(n_, "output_shape of", axis.size, 1);
      const int64_t padding = std::max<int64_t>(all - axis.size, 0);
      axis.before = auto_pad_ == "SAME_UPPER" ? padding / 2 : padding - padding / 2;
      axis.after = padding - axis.before;
    } else if (auto_pad_ == "NOTSET") {
      check_range(n_, "padding", axis.before = pads_[a], 0);
      check_range(n_, "padding", axis.after = pads_[axes_ + a], 0);
      axis.size = all - axis.before - axis.after;
    }
    check_range(n_, "output of", axis.size, 1);
    // What is added behind is cut off first.
    axis.rest = axis.size + axis.before - (all - extra_[a]);
    axis.after = std::max<int64_t>(-axis.rest, 0);
    axis.rest = std::max<int64_t>(axis.rest, 0);
    return axis;
  }

 private:
  const OnnxNode& n_;
  const int axes_;
  const std::string auto_pad_;
  const Dims pads_, extra_;
  Dims shape_;
};

}  // namespace

// The gradient of a convolution over the output: each element of x adds the filters, times itself,
// to its window. The weight is [C,M/g,..].
void import_ConvTranspose(OnnxNode& n) {
  const Dims x_dims = n.dims(0), w_dims = n.dims(1);
  const int axes = static_cast<int>(x_dims.size()) - 2;
  if (axes < 1 || axes > 3)
    n.fail("its input has shape {}; one to three spatial axes are supported", dims_text(x_dims));
  const int64_t groups = n.integer("group", 1), channels = x_dims[1];
  if (w_dims.size() != x_dims.size() || w_dims[0] != channels)
    n.fail("a weight of shape {} for an input of shape {}", dims_text(w_dims), dims_text(x_dims));
  if (groups < 1 || channels % groups != 0) n.fail("{} channels in {} groups", channels, groups);
  const Dims kernel(w_dims.begin() + 2, w_dims.end());
  if (n.ints("kernel_shape", kernel) != kernel)
    n.fail("kernel_shape {} and a weight of shape {}", dims_text(n.ints("kernel_shape")),
           dims_text(w_dims));
  const Reader reader(n, axes);
  const Dims strides = reader.numbers("strides", axes, 1);
  const Dims dilations = reader.numbers("dilations", axes, 1);
  Window w;
  int64_t rest[3] = {0, 0, 0};  // more than a stride of it is added as zeros
  for (int a = 0; a < axes; ++a) {
    const int i = a + 3 - axes;
    w.output[i] = x_dims[2 + a];
    check_range(n, "kernel of", w.kernel[i] = kernel[a], 1);
    check_range(n, "stride", w.stride[i] = strides[a], 1);
    check_range(n, "dilation", w.dilation[i] = dilations[a], 1);
    check_range(n, "image of", w.output[i], 1);
    check_range(n, "a window of", w.extent(i), 1);
    const Axis axis = reader.read(a, w.output[i], w.stride[i], w.extent(i));
    w.before[i] = axis.before;
    w.after[i] = axis.after;
    if (axis.rest >= w.stride[i] && i > 0) rest[i] = axis.rest;
    w.size[i] = axis.size - rest[i];
    if (w.size[i] < 1) n.fail("an output of {} of which {} are outside", axis.size, axis.rest);
  }

  const int64_t outputs = w_dims[1] * groups, depth = w.kernel[0];
  ValueId x = image_input(n, n.value(0));
  if (axes == 3)
    x = n.reshape(x, {x_dims[0] * x_dims[2], x_dims[3], x_dims[4], channels}, "images");
  Conv2dAttrs attrs;
  set_window(&attrs, w);
  attrs.groups = static_cast<int32_t>(groups);
  attrs.input_h = static_cast<int32_t>(w.size[1]);
  attrs.input_w = static_cast<int32_t>(w.size[2]);
  const ValueId weight =
      n.weight(1, {channels, w_dims[1] * depth, w.kernel[1], w.kernel[2]}, {0, 2, 3, 1}, "weight");
  const bool ends = axes < 3 && !n.has(2) && rest[1] + rest[2] == 0;
  ValueId y = n.emit(Op::conv2d_transpose, attrs, {x, weight}, ends ? nullptr : "product");
  if (axes == 3) y = sum_depth_windows(n, y, w, w.output[0]);
  for (int i = 1; i < 3; ++i) y = n.pad(y, i + (axes == 3), 0, rest[i], 0);
  if (n.has(2)) y = n.emit(Op::add, NoAttrs{}, {y, n.vector_weight(2, outputs, "bias")});
  set_image_output(n, y);
}

}  // namespace attune
