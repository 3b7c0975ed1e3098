#include "bench/operators/calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace attune::bench {
namespace {

constexpr const char* kKindNames[] = {"conv2d", "depthwise", "linear", "add", "matmul"};
enum class Kind { conv2d, depthwise, linear, add, matmul };

// A row of layer_shapes.def.
struct Row {
  const char* model;
  int times;
  Kind kind;
  int h = 1, w = 1, c = 1, outputs = 1;
  int kernel_h = 1, kernel_w = 1, stride = 1;
  int top = 0, left = 0, bottom = 0, right = 0;
  bool clamps = false;

  int out_h() const { return (h + top + bottom - kernel_h) / stride + 1; }
  int out_w() const { return (w + left + right - kernel_w) / stride + 1; }
};

constexpr Row kRows[] = {
#define CONV(model, times, h, w, c, o, kh, kw, stride, top, left, bottom, right, clamps) \
  {#model, times, Kind::conv2d, h, w, c, o, kh, kw, stride, top, left, bottom, right, clamps != 0},
#define DEPTHWISE(model, times, h, w, c, k, stride, pad, clamps) \
  {#model, times, Kind::depthwise, h, w, c, c, k, k, stride, pad, pad, pad, pad, clamps != 0},
#define LINEAR(model, times, inputs, outputs) {#model, times, Kind::linear, 1, 1, inputs, outputs},
#define ADD(model, times, h, w, c) {#model, times, Kind::add, h, w, c, c},
#define MATMUL(model, times, m, k, n) {#model, times, Kind::matmul, m, 1, k, n},
#include "bench/operators/layer_shapes.def"
#undef CONV
#undef DEPTHWISE
#undef LINEAR
#undef ADD
#undef MATMUL
};

std::string shape_name(const Row& row) {
  switch (row.kind) {
    case Kind::conv2d:
      return fmt::format("{}x{}x{}->{}:{}x{}s{}", row.h, row.w, row.c, row.outputs, row.kernel_h,
                         row.kernel_w, row.stride);
    case Kind::depthwise:
      return fmt::format("{}x{}x{}:{}x{}s{}", row.h, row.w, row.c, row.kernel_h, row.kernel_w,
                         row.stride);
    case Kind::linear:
      return fmt::format("{}->{}", row.c, row.outputs);
    case Kind::add:
      return fmt::format("{}x{}x{}", row.h, row.w, row.c);
    case Kind::matmul:
      return fmt::format("{}x{}x{}", row.h, row.c, row.outputs);
  }
  return "";
}

Conv2dAttrs conv_attrs(const Row& row, bool forward) {
  Conv2dAttrs attrs;
  attrs.stride_h = attrs.stride_w = row.stride;
  attrs.pad_top = row.top, attrs.pad_left = row.left;
  attrs.pad_bottom = row.bottom, attrs.pad_right = row.right;
  attrs.input_h = row.h, attrs.input_w = row.w;
  attrs.kernel_h = row.kernel_h, attrs.kernel_w = row.kernel_w;
  if (forward && row.clamps) attrs.clamp_min = 0, attrs.clamp_max = 6;
  return attrs;
}

class Maker {
 public:
  Maker(const Row& row, int batch) : row_(row), batch_(batch) {}

  std::vector<Call> calls() {
    switch (row_.kind) {
      case Kind::conv2d:
        convolution(Op::conv2d, Op::conv2d_grad_input, Op::conv2d_grad_weight,
                    {row_.outputs, row_.kernel_h, row_.kernel_w, row_.c});
        break;
      case Kind::depthwise:
        convolution(Op::depthwise_conv2d, Op::depthwise_conv2d_grad_input,
                    Op::depthwise_conv2d_grad_weight, {row_.kernel_h, row_.kernel_w, row_.c});
        break;
      case Kind::linear:
        linear();
        break;
      case Kind::add: {
        const Operand x{{batch_, row_.h, row_.w, row_.c}};
        add("forward", Op::add, NoAttrs{}, {x, x}, {x}, 0);
        break;
      }
      case Kind::matmul:
        matmul();
        break;
    }
    return std::move(calls_);
  }

 private:
  template <class A>
  void add(const char* part, Op op, const A& attrs, std::vector<Operand> inputs,
           std::vector<Operand> outputs, int64_t macs) {
    calls_.push_back({row_.model, kKindNames[static_cast<int>(row_.kind)], part, shape_name(row_),
                      row_.times, op, std::make_shared<A>(attrs), std::move(inputs),
                      std::move(outputs), macs});
  }

  static Operand parameter(const Shape& shape) { return {.shape = shape, .parameter = true}; }

  void convolution(Op forward, Op grad_input, Op grad_weight, const Shape& w) {
    const Shape x{batch_, row_.h, row_.w, row_.c};
    const Shape y{batch_, row_.out_h(), row_.out_w(), row_.outputs};
    const int64_t macs =
        row_.kind == Kind::conv2d ? y.elements() * w.product(1, 4) : y.elements() * w.product(0, 2);
    std::vector<Operand> outputs{{y}};
    if (row_.clamps) outputs.push_back({y, DType::mask});
    add("forward", forward, conv_attrs(row_, true), {{x}, parameter(w), parameter({row_.outputs})},
        outputs, macs);
    // Where no gradient comes back, nobody wants the mask of the clamp.
    if (row_.clamps)
      add("forward_only", forward, conv_attrs(row_, true),
          {{x}, parameter(w), parameter({row_.outputs})}, {{y}}, macs);
    const Conv2dAttrs attrs = conv_attrs(row_, false);
    // Nothing asks for the gradient of the images.
    if (row_.c > 3) add("dx", grad_input, attrs, {{y}, parameter(w)}, {{x}}, macs);
    add("dw", grad_weight, attrs, {{x}, {y}}, {{w}}, macs);
    after_gradients(y, 0b0111, w);
  }

  void linear() {
    const Shape x{batch_, row_.c}, y{batch_, row_.outputs}, w{row_.outputs, row_.c};
    const int64_t macs = y.elements() * row_.c;
    add("forward", Op::linear, LinearAttrs{}, {{x}, parameter(w), parameter({row_.outputs})}, {{y}},
        macs);
    add("dx", Op::matmul, MatmulAttrs{}, {{y}, parameter(w)}, {{x}}, macs);
    add("dw", Op::matmul, MatmulAttrs{.transpose_a = true}, {{y}, {x}}, {{w}}, macs);
    after_gradients(y, 0b01, w);
  }

  // The same product forward, then both gradients.
  void matmul() {
    const Shape a{row_.h, row_.c}, b{row_.c, row_.outputs}, y{row_.h, row_.outputs};
    const int64_t macs = y.elements() * row_.c;
    add("forward", Op::matmul, MatmulAttrs{}, {{a}, {b}}, {{y}}, macs);
    add("dx", Op::matmul, MatmulAttrs{.transpose_b = true}, {{y}, {b}}, {{a}}, macs);
    add("dw", Op::matmul, MatmulAttrs{.transpose_a = true}, {{a}, {y}}, {{b}}, macs);
  }

  void after_gradients(const Shape& y, int reduced_axes, const Shape& w) {
    if (row_.clamps)
      add("dclamp", Op::mask_grad, NoAttrs{}, {{y}, {y, DType::mask}}, {{.shape = y, .lies_on = 0}},
          0);
    Shape sums = y;
    for (int i = 0; i + 1 < y.rank; ++i) sums[i] = 1;
    ReduceAttrs reduce;
    reduce.axes = reduced_axes;
    add("dbias", Op::reduce, reduce, {{y}}, {{sums}}, 0);
    add("update", Op::momentum, MomentumAttrs{}, {{w}, {w}, {{1}}, {}, {w}},
        {{.shape = w, .lies_on = 0}, {.shape = w, .lies_on = 4}}, 0);
  }

  const Row& row_;
  int batch_;
  std::vector<Call> calls_;
};

}  // namespace

int64_t Call::bytes() const {
  int64_t sum = 0;
  for (const auto* operands : {&inputs, &outputs})
    for (const Operand& o : *operands)
      if (o.shape.rank > 0)
        sum += static_cast<int64_t>(dtype_bytes(o.dtype, static_cast<size_t>(o.shape.elements())));
  return sum;
}

std::vector<std::string> models() {
  std::vector<std::string> names;
  for (const Row& row : kRows)
    if (std::find(names.begin(), names.end(), row.model) == names.end()) names.push_back(row.model);
  return names;
}

std::vector<Call> calls(const std::string& model, int batch) {
  std::vector<Call> all;
  for (const Row& row : kRows) {
    if (model != row.model) continue;
    for (Call& call : Maker(row, batch).calls()) all.push_back(std::move(call));
  }
  return all;
}

}  // namespace attune::bench
