#pragma once

#include <algorithm>

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// The sliding window of a convolution or pool, for depth, height and width. With one spatial axis
// that is the width, of an image one element high; with two, there is no depth.
struct Window {
  int64_t size[3] = {1, 1, 1};  // of the image
  int64_t kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int64_t before[3] = {0, 0, 0}, after[3] = {0, 0, 0};
  int64_t output[3] = {1, 1, 1};
  int64_t extent(int i) const { return (kernel[i] - 1) * dilation[i] + 1; }
  bool padded() const {
    return std::any_of(before, before + 3, [](int64_t p) { return p > 0; }) ||
           std::any_of(after, after + 3, [](int64_t p) { return p > 0; });
  }
};

// Reads strides, dilations, pads and auto_pad of a node whose input 0 has one to three spatial axes
// behind [N,C], and `ceil_mode`, which is expressed as padding behind the image.
Window read_window(const OnnxNode& n, const Dims& kernel, bool ceil_mode);
// No number that concerns windows is larger, so that sums fit into 32 bits. Fails outside of
// `least` .. that.
void check_range(const OnnxNode& n, const char* what, int64_t value, int64_t least);

// Input 0 as NHWC (NDHWC), and a result of that form as output 0. With one spatial axis, H is 1.
ValueId image_input(const OnnxNode& n, ValueId x);
void set_image_output(const OnnxNode& n, ValueId y);

// [N,D,H,W,C] as the images [N*D',H,W,C*KD] of its depth windows, w.output[0] of them: their places
// stand behind each channel.
ValueId depth_windows(const OnnxNode& n, ValueId x, const Window& w);
// Back: the images of `windows` depth windows, added up where these lie over a depth of w.size[0].
ValueId sum_depth_windows(const OnnxNode& n, ValueId y, const Window& w, int64_t windows);

// The padding of input 0 where it is of zeros around the image only and smaller than the window, so
// that an operator that pads with zeros can take it over; it is added to the window's. Returns the
// value inside the padding, or that of input 0.
ValueId absorb_padding(const OnnxNode& n, Window* window);

// Height and width alone.
template <class Attrs>
void set_window(Attrs* attrs, const Window& w) {
  attrs->stride_h = static_cast<int32_t>(w.stride[1]);
  attrs->stride_w = static_cast<int32_t>(w.stride[2]);
  attrs->pad_top = static_cast<int32_t>(w.before[1]);
  attrs->pad_left = static_cast<int32_t>(w.before[2]);
  attrs->pad_bottom = static_cast<int32_t>(w.after[1]);
  attrs->pad_right = static_cast<int32_t>(w.after[2]);
  attrs->dilation_h = static_cast<int32_t>(w.dilation[1]);
  attrs->dilation_w = static_cast<int32_t>(w.dilation[2]);
}

}  // namespace attune
