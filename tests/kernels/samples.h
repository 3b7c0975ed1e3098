#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/attrs.h"
#include "tests/kernels/harness.h"

namespace attune::test {

// A call together with the attributes that it points to.
struct Sample {
  std::string name;
  Call call;
  std::shared_ptr<void> attrs;
};

template <class A>
Sample make_sample(std::string name, Op op, A attrs, std::vector<Value> inputs,
                   std::vector<Value> outputs) {
  auto owned = std::make_shared<A>(attrs);
  return {std::move(name), {op, owned.get(), std::move(inputs), std::move(outputs)}, owned};
}

// At least one call of every operator: sizes of 1, odd channels, tails, several tiles of threads.
const std::vector<Sample>& samples();

// Convolutions that are large enough to be cut in other ways, for kernels that cut them.
const std::vector<Sample>& large_samples();

// A row of the table of convolutions and windows.
struct ConvCase {
  const char* name;
  int n, h, w, c, o, kh, kw;
  int stride_h = 1, stride_w = 1;
  int top = 0, left = 0, bottom = 0, right = 0;
  int dilation_h = 1, dilation_w = 1;
  int groups = 1;

  int out_h() const { return (h + top + bottom - dilation_h * (kh - 1) - 1) / stride_h + 1; }
  int out_w() const { return (w + left + right - dilation_w * (kw - 1) - 1) / stride_w + 1; }
  Conv2dAttrs attrs() const;
  Shape x() const { return {n, h, w, c}; }
  Shape weight() const { return {o, kh, kw, c / groups}; }
  Shape y() const { return {n, out_h(), out_w(), o}; }
  // The same windows, one filter a channel.
  Shape depthwise_weight() const { return {kh, kw, c}; }
  Shape depthwise_y() const { return {n, out_h(), out_w(), c}; }
  Pool2dAttrs pool_attrs(bool count_padding) const;
};

inline const ConvCase kConvCases[] = {
    {"one pixel", 1, 1, 1, 1, 1, 1, 1},
    {"pointwise, odd channels", 2, 5, 4, 7, 5, 1, 1},
    {"pointwise, several tiles of channels", 1, 3, 5, 70, 37, 1, 1},
    {"pointwise, less than a block of pixels", 1, 10, 10, 72, 16, 1, 1},
    {"pointwise, blocks of pixels and a part of one", 2, 15, 11, 24, 40, 1, 1},
    {"pointwise, stride 2", 1, 5, 6, 5, 18, 1, 1, 2, 2},
    {"same padding", 2, 6, 5, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1},
    {"stride 2, padding below and right", 1, 8, 7, 3, 17, 3, 3, 2, 2, 0, 0, 1, 1},
    {"strides differ", 1, 9, 8, 2, 3, 3, 2, 3, 2, 1, 0, 0, 1},
    {"stride above the kernel", 1, 7, 7, 3, 2, 2, 2, 3, 3},
    {"dilation", 1, 9, 8, 3, 5, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
    {"dilations differ, stride 2", 2, 10, 9, 2, 4, 3, 2, 2, 1, 1, 3, 0, 2, 2, 3},
    {"kernel above the image", 1, 2, 3, 3, 2, 5, 5, 1, 1, 2, 2, 2, 2},
    {"two groups", 1, 5, 5, 6, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2},
    {"three groups of 18 outputs, stride 2", 1, 6, 7, 9, 54, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1, 3},
    {"as many groups as channels", 2, 4, 4, 5, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 5},
    {"one row", 1, 1, 12, 4, 3, 1, 5, 1, 2, 0, 2, 0, 2},
    {"many rows", 3, 11, 4, 17, 19, 3, 3, 1, 1, 1, 1, 1, 1},
};

}  // namespace attune::test
