#pragma once

#include <vector>

#include "tests/backends/harness.h"

namespace attune::test {

// The geometry of a convolution.
struct Conv {
  const char* name;
  int n, h, w, c, o, kh, kw;
  int stride_h = 1, stride_w = 1;
  int top = 0, left = 0, bottom = 0, right = 0;
  int dilation_h = 1, dilation_w = 1;
  int groups = 1;

  int out_h() const { return (h + top + bottom - dilation_h * (kh - 1) - 1) / stride_h + 1; }
  int out_w() const { return (w + left + right - dilation_w * (kw - 1) - 1) / stride_w + 1; }
  Shape x() const { return {n, h, w, c}; }
  Shape y(bool depthwise) const { return {n, out_h(), out_w(), depthwise ? c : o}; }
  Shape weight(bool depthwise) const;
  Conv2dAttrs attrs() const;
};

// What training uses, and what is odd, chosen by hand; then as many again by chance, always the
// same.
const std::vector<Conv>& conv_cases();

// Large windows over more channels than a vector has, for depthwise convolution only.
const std::vector<Conv>& wide_depthwise_cases();

enum class Bias { absent, trained, frozen };

// w is frozen. `clamps` clamps to [-0.5, 0.75] and asks for the mask.
Call conv_forward(const Conv& conv, bool depthwise, Bias bias, bool clamps);
Call conv_grad_input(const Conv& conv, bool depthwise);
Call conv_grad_weight(const Conv& conv, bool depthwise);
Call linear_forward(int rows, int inputs, int outputs, Bias bias, bool clamps);

inline constexpr double kClampMin = -0.5, kClampMax = 0.75;

}  // namespace attune::test
