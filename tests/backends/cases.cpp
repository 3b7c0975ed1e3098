#include "tests/backends/cases.h"

#include <random>

namespace attune::test {
namespace {

std::vector<Conv> make_conv_cases() {
  std::vector<Conv> cases = {
      // name, n, h, w, c, o, kh, kw, strides, pads (top, left, bottom, right), dilations, groups
      {"one pixel, one channel", 1, 1, 1, 1, 1, 1, 1},
      {"pointwise, whole tiles", 1, 6, 4, 16, 24, 1, 1},
      {"pointwise, odd channels", 2, 5, 3, 7, 17, 1, 1},
      {"pointwise, more than a block of channels", 1, 3, 5, 300, 40, 1, 1},
      {"pointwise, exactly a block of channels", 1, 4, 4, 128, 9, 1, 1},
      {"pointwise, many outputs", 1, 2, 2, 33, 259, 1, 1},
      {"pointwise, more weights than are packed at once", 1, 3, 3, 640, 520, 1, 1},
      {"pointwise, more than a block of pixels", 3, 13, 11, 9, 10, 1, 1},
      {"pointwise, stride 2", 2, 7, 6, 8, 12, 1, 1, 2, 2},
      {"pointwise, padded", 1, 4, 5, 3, 8, 1, 1, 1, 1, 1, 0, 2, 1},
      {"3x3 as in a residual block", 1, 14, 14, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1},
      {"3x3, odd channels", 3, 6, 5, 3, 7, 3, 3, 1, 1, 1, 1, 1, 1},
      {"first layer", 1, 17, 19, 3, 16, 3, 3, 2, 2, 1, 1, 1, 1},
      {"7x7, stride 2", 1, 20, 18, 3, 9, 7, 7, 2, 2, 3, 3, 3, 3},
      {"stride 2, padding below and right", 1, 8, 8, 5, 6, 3, 3, 2, 2, 0, 0, 1, 1},
      {"stride 2, padding above and left", 2, 9, 7, 5, 6, 3, 3, 2, 2, 1, 1, 0, 0},
      {"stride 2, the last line is not reached", 1, 8, 10, 4, 5, 3, 3, 2, 2},
      {"stride 3, kernel 3", 1, 11, 10, 3, 4, 3, 3, 3, 3, 1, 0, 0, 1},
      {"strides differ", 1, 9, 8, 2, 3, 3, 2, 3, 2, 1, 0, 0, 1},
      {"stride above the kernel", 1, 7, 9, 3, 2, 2, 2, 3, 3},
      {"stride above the pointwise kernel", 1, 7, 9, 3, 10, 1, 1, 3, 2},
      {"dilation 2", 1, 9, 8, 3, 5, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
      {"dilation 2 and stride 2", 1, 10, 11, 4, 5, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2},
      {"dilation 3 and stride 2", 1, 10, 11, 4, 5, 3, 3, 2, 2, 3, 3, 3, 3, 3, 3},
      {"dilations differ, stride 2", 2, 10, 9, 2, 4, 3, 2, 2, 1, 1, 3, 0, 2, 2, 3},
      {"kernel above the image", 1, 2, 3, 3, 2, 5, 5, 1, 1, 2, 2, 2, 2},
      {"more padding than kernel", 1, 3, 3, 2, 3, 2, 2, 1, 1, 3, 3, 3, 3},
      {"one line", 1, 1, 12, 4, 3, 1, 5, 1, 2, 0, 2, 0, 2},
      {"one column", 1, 12, 1, 4, 17, 5, 1, 2, 1, 2, 0, 2, 0},
      {"5x5", 1, 7, 8, 17, 7, 5, 5, 1, 1, 2, 2, 2, 2},
      {"two groups", 1, 5, 5, 6, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2},
      {"two groups, pointwise", 2, 5, 5, 6, 18, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 2},
      {"three groups, stride 2", 1, 6, 7, 9, 54, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1, 3},
      {"a group a channel", 2, 4, 4, 5, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 5},
      {"depthwise as groups", 1, 5, 6, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 7},
      {"wide depthwise", 1, 5, 4, 70, 8, 3, 3, 1, 1, 1, 1, 1, 1},
      {"wide depthwise, stride 2", 2, 7, 6, 37, 8, 3, 3, 2, 2, 0, 0, 1, 1},
      {"a mask of whole bytes, many rows", 2, 9, 11, 13, 56, 1, 1},
      {"a mask of whole bytes, 3x3", 1, 7, 6, 5, 24, 3, 3, 1, 1, 1, 1, 1, 1},
      {"3x3, lines of more than a block of pixels", 1, 4, 300, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1},
  };
  std::mt19937 engine(20240229);
  const auto pick = [&](auto... values) {
    const int list[] = {values...};
    return list[engine() % sizeof...(values)];
  };
  for (const size_t enough = 2 * cases.size() + 30; cases.size() < enough;) {
    Conv c{"by chance", 0, 0, 0, 0, 0, 0, 0};
    c.n = pick(1, 3), c.h = pick(1, 2, 5, 8, 13), c.w = pick(1, 3, 6, 9, 12);
    c.groups = pick(1, 1, 1, 2);
    c.c = pick(1, 3, 7, 17, 24) * c.groups, c.o = pick(1, 3, 7, 8, 17) * c.groups;
    c.kh = pick(1, 2, 3, 5), c.kw = pick(1, 2, 3, 4);
    c.stride_h = pick(1, 1, 2, 3), c.stride_w = pick(1, 1, 2, 3);
    c.top = pick(0, 1, 2), c.left = pick(0, 1, 2), c.bottom = pick(0, 1, 2),
    c.right = pick(0, 1, 2);
    c.dilation_h = pick(1, 1, 2), c.dilation_w = pick(1, 1, 2);
    const bool fits = c.h + c.top + c.bottom > c.dilation_h * (c.kh - 1) &&
                      c.w + c.left + c.right > c.dilation_w * (c.kw - 1);
    if (fits) cases.push_back(c);
  }
  return cases;
}

int seed_of(const Shape& shape, int salt) {
  int seed = salt;
  for (int i = 0; i < shape.rank; ++i) seed = seed * 31 + shape[i];
  return seed & 0xffffff;
}

Operand random_operand_of(Shape shape, int salt, bool frozen = false) {
  return random_operand(shape, seed_of(shape, salt), frozen);
}

Operand bias_operand(int outputs, Bias bias) {
  if (bias == Bias::absent) return {};
  return random_operand_of({outputs}, 3, bias == Bias::frozen);
}

}  // namespace

const std::vector<Conv>& conv_cases() {
  static const std::vector<Conv> cases = make_conv_cases();
  return cases;
}

const std::vector<Conv>& wide_depthwise_cases() {
  static const std::vector<Conv> cases = {
      {"wide 5x5", 1, 9, 17, 35, 4, 5, 5, 1, 1, 2, 2, 2, 2},
      {"wide 5x5, stride 2", 2, 14, 15, 19, 4, 5, 5, 2, 2, 1, 2, 2, 1},
      {"wide 7x7", 1, 8, 16, 21, 4, 7, 7, 1, 1, 3, 3, 3, 3},
      {"wide 7x7, stride 2", 1, 15, 30, 18, 4, 7, 7, 2, 2, 3, 2, 3, 2},
  };
  return cases;
}

Shape Conv::weight(bool depthwise) const {
  if (depthwise) return {kh, kw, c};
  return {o, kh, kw, c / groups};
}

Conv2dAttrs Conv::attrs() const {
  Conv2dAttrs a;
  a.stride_h = stride_h, a.stride_w = stride_w;
  a.pad_top = top, a.pad_left = left, a.pad_bottom = bottom, a.pad_right = right;
  a.dilation_h = dilation_h, a.dilation_w = dilation_w;
  a.groups = groups;
  a.input_h = h, a.input_w = w;
  a.kernel_h = kh, a.kernel_w = kw;
  return a;
}

Call conv_forward(const Conv& conv, bool depthwise, Bias bias, bool clamps) {
  Conv2dAttrs a = conv.attrs();
  if (clamps) a.clamp_min = kClampMin, a.clamp_max = kClampMax;
  const Shape y = conv.y(depthwise);
  return {conv.name,
          depthwise ? Op::depthwise_conv2d : Op::conv2d,
          share(a),
          {random_operand_of(conv.x(), 1), random_operand_of(conv.weight(depthwise), 2, true),
           bias_operand(y[3], bias)},
          y,
          clamps};
}

Call conv_grad_input(const Conv& conv, bool depthwise) {
  return {
      conv.name,
      depthwise ? Op::depthwise_conv2d_grad_input : Op::conv2d_grad_input,
      share(conv.attrs()),
      {random_operand_of(conv.y(depthwise), 4), random_operand_of(conv.weight(depthwise), 2, true)},
      conv.x()};
}

Call conv_grad_weight(const Conv& conv, bool depthwise) {
  return {conv.name,
          depthwise ? Op::depthwise_conv2d_grad_weight : Op::conv2d_grad_weight,
          share(conv.attrs()),
          {random_operand_of(conv.x(), 1), random_operand_of(conv.y(depthwise), 4)},
          conv.weight(depthwise)};
}

Call linear_forward(int rows, int inputs, int outputs, Bias bias, bool clamps) {
  LinearAttrs a;
  if (clamps) a.clamp_min = kClampMin, a.clamp_max = kClampMax;
  return {"linear " + std::to_string(rows) + "x" + std::to_string(inputs) + "x" +
              std::to_string(outputs),
          Op::linear,
          share(a),
          {random_operand_of({rows, inputs}, 1), random_operand_of({outputs, inputs}, 2, true),
           bias_operand(outputs, bias)},
          {rows, outputs},
          clamps};
}

}  // namespace attune::test
