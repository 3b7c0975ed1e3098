#pragma once

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// The sliding window of a convolution or pool, for height and width. With one spatial axis that is
// the width, of an image one element high.
struct Window {
  int64_t size[2] = {1, 1};  // of the image
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1};
  int64_t before[2] = {0, 0}, after[2] = {0, 0};
  int64_t output[2] = {1, 1};
  int64_t extent(int i) const { return (kernel[i] - 1) * dilation[i] + 1; }
  bool padded() const { return before[0] + before[1] + after[0] + after[1] > 0; }
};

// Reads strides, dilations, pads and auto_pad of a node whose input 0 is [N,C,W] or [N,C,H,W], and
// `ceil_mode`, which is expressed as padding behind the image.
Window read_window(const OnnxNode& n, const Dims& kernel, bool ceil_mode);

// Input 0 as NHWC, and a result of that form as output 0. With one spatial axis, H is 1.
ValueId image_input(const OnnxNode& n, ValueId x);
void set_image_output(const OnnxNode& n, ValueId y);

// The padding of input 0 where it is of zeros around the image only and smaller than the window, so
// that an operator that pads with zeros can take it over; it is added to the window's. Returns the
// value inside the padding, or that of input 0.
ValueId absorb_padding(const OnnxNode& n, Window* window);

template <class Attrs>
void set_window(Attrs* attrs, const Window& w) {
  attrs->stride_h = static_cast<int32_t>(w.stride[0]);
  attrs->stride_w = static_cast<int32_t>(w.stride[1]);
  attrs->pad_top = static_cast<int32_t>(w.before[0]);
  attrs->pad_left = static_cast<int32_t>(w.before[1]);
  attrs->pad_bottom = static_cast<int32_t>(w.after[0]);
  attrs->pad_right = static_cast<int32_t>(w.after[1]);
  attrs->dilation_h = static_cast<int32_t>(w.dilation[0]);
  attrs->dilation_w = static_cast<int32_t>(w.dilation[1]);
}

}  // namespace attune
