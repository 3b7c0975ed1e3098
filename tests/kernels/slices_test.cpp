#include <doctest/doctest.h>

#include <array>

#include "tests/kernels/samples.h"

// Pruned training computes gradients of slices of weights. They must be the slices of the gradient,
// to the bit.
namespace attune::test {
namespace {

Value gather(const Value& v, int axis, const std::vector<int>& indices, DType real) {
  Shape shape = v.shape();
  shape[axis] = static_cast<int>(indices.size());
  const AxisAttrs attrs{axis};
  RunOptions options;
  options.real = real;
  return run1(Op::gather, &attrs, {v, Value::ints({shape[axis]}, indices)},
              Value(DType::f64, shape), options);
}

// Some of n channels: one, the odd ones, all but the first.
std::vector<std::vector<int>> choices(int n) {
  std::vector<std::vector<int>> all = {{n - 1}, {}, {}};
  for (int i = 1; i < n; i += 2) all[1].push_back(i);
  for (int i = 1; i < n; ++i) all[2].push_back(i);
  if (n < 2) all.resize(1);
  return all;
}

// Runs `op` on whole inputs, and on inputs cut along `in_axes` (-1: not cut), and compares the cut
// of the output along `out_axis`.
void check_slices(Op op, const void* attrs, const std::vector<Value>& inputs,
                  const std::vector<int>& in_axes, const Shape& out, int out_axis) {
  INFO(op_name(op), " ", shape_text(out), " axis ", out_axis);
  for (DType real : {DType::f32, DType::f64}) {
    RunOptions options;
    options.real = real;
    const Value whole = run1(op, attrs, inputs, Value(DType::f64, out), options);
    for (const std::vector<int>& chosen : choices(out[out_axis])) {
      std::vector<Value> cut = inputs;
      for (size_t i = 0; i < cut.size(); ++i)
        if (in_axes[i] >= 0) cut[i] = gather(cut[i], in_axes[i], chosen, real);
      Shape shape = out;
      shape[out_axis] = static_cast<int>(chosen.size());
      CHECK(run1(op, attrs, cut, Value(DType::f64, shape), options)
                .same_bits(gather(whole, out_axis, chosen, real)));
    }
  }
}

}  // namespace

TEST_CASE("the gradient of a slice of a convolution is the slice of the gradient, to the bit") {
  for (const ConvCase& c : kConvCases) {
    INFO(c.name);
    Conv2dAttrs attrs = c.attrs();
    const Value x = Value::random(c.x(), 1), w = Value::random(c.weight(), 2);
    const Value dy = Value::random(c.y(), 3), dwdy = Value::random(c.depthwise_y(), 4);
    const Value dww = Value::random(c.depthwise_weight(), 5);
    if (c.groups == 1) {
      check_slices(Op::conv2d_grad_weight, &attrs, {x, dy}, {3, -1}, c.weight(), 3);
      check_slices(Op::conv2d_grad_weight, &attrs, {x, dy}, {-1, 3}, c.weight(), 0);
      check_slices(Op::conv2d_grad_input, &attrs, {dy, w}, {-1, 3}, c.x(), 3);
      check_slices(Op::conv2d, &attrs, {x, w}, {-1, 0}, c.y(), 3);
    }
    // As many groups as there are channels left; depthwise kernels do not look at it.
    check_slices(Op::depthwise_conv2d_grad_weight, &attrs, {x, dwdy}, {3, 3}, c.depthwise_weight(),
                 2);
    check_slices(Op::depthwise_conv2d_grad_input, &attrs, {dwdy, dww}, {3, 2}, c.x(), 3);
  }
}

TEST_CASE("the gradient of a slice of linear is the slice of the gradient, to the bit") {
  const MatmulAttrs transpose_a{true, false};
  for (auto [n, i, o] : {std::array{1, 1, 1}, {3, 7, 5}, {2, 130, 33}, {70, 65, 17}}) {
    const Value x = Value::random({n, i}, 1), dy = Value::random({n, o}, 2);
    check_slices(Op::matmul, &transpose_a, {dy, x}, {1, -1}, {o, i}, 0);
    check_slices(Op::matmul, &transpose_a, {dy, x}, {-1, 1}, {o, i}, 1);
  }
}

TEST_CASE("the gradient of a slice of gamma and beta is the slice of the gradient, to the bit") {
  const Shape s{3, 5, 7, 67}, c{67}, row{1, 1, 1, 67};
  const BatchNormAttrs attrs;
  const Value x = Value::random(s, 1), dy = Value::random(s, 2), mean = Value::random(c, 3);
  const Value var = Value::random(c, 4, 0.1, 2);
  check_slices(Op::batch_norm_grad_gamma, &attrs, {x, dy, mean, var}, {3, 3, 0, 0}, c, 0);
  const ReduceAttrs sum{7, false};
  check_slices(Op::reduce, &sum, {dy}, {3}, row, 3);
}

}  // namespace attune::test
