#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/kernel.h"

// Windows that slide over an image: tap k of output o reads input o * stride + k * dilation - pad.
namespace attune::reference {

// Sizes of an NHWC tensor.
struct Image {
  int64_t n, h, w, c;

  explicit Image(const Shape& shape) : n(shape[0]), h(shape[1]), w(shape[2]), c(shape[3]) {}
  // The first element of a row.
  int64_t row(int64_t batch, int64_t y) const { return (batch * h + y) * w * c; }
};

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// One axis of a window.
struct Window {
  int64_t size, stride, pad, dilation;

  // The input that tap k of output o reads; outside of the input where it is padding.
  int64_t source(int64_t o, int64_t k) const { return o * stride + k * dilation - pad; }

  // The outputs whose tap k lies inside the input. Empty ranges have begin == end.
  Range outputs(int64_t k, int64_t output_size, int64_t input_size) const {
    const int64_t offset = k * dilation - pad;
    const int64_t last = input_size - 1 - offset;
    if (last < 0) return {0, 0};
    const int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    const int64_t end = std::min(output_size, last / stride + 1);
    return {begin, std::max(begin, end)};
  }

  // The output whose tap k reads this input, or -1.
  int64_t output_of(int64_t input, int64_t k, int64_t output_size) const {
    const int64_t t = input + pad - k * dilation;
    if (t < 0 || t % stride != 0 || t / stride >= output_size) return -1;
    return t / stride;
  }

  // The taps of output o that lie inside [low, high) of the input's axis.
  Range taps(int64_t o, int64_t low, int64_t high) const {
    const int64_t first = o * stride - pad;
    const int64_t begin = first >= low ? 0 : (low - first + dilation - 1) / dilation;
    const int64_t end = first >= high ? 0 : std::min(size, (high - 1 - first) / dilation + 1);
    return {begin, std::max(begin, end)};
  }
};

template <class A>
Window window_h(const A& attrs, int64_t size) {
  return {size, attrs.stride_h, attrs.pad_top, attrs.dilation_h};
}

template <class A>
Window window_w(const A& attrs, int64_t size) {
  return {size, attrs.stride_w, attrs.pad_left, attrs.dilation_w};
}

}  // namespace attune::reference
