#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "tests/kernels/samples.h"

// Gradient kernels against finite differences of the forward kernels, in f64.
namespace attune::test {
namespace {

Value real(Shape shape) { return Value(DType::f64, shape); }

double dot(const Value& a, const Value& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

// For L = sum(dy * y): checks that `gradient` is dL / d(input), at up to 50 elements of the input.
void check_gradient(const Sample& forward, int input, const Value& dy, const Value& gradient) {
  INFO(op_name(forward.call.op), " ", forward.name, " input ", input);
  Call call = forward.call;
  Value& x = call.inputs[static_cast<size_t>(input)];
  REQUIRE(gradient.shape() == x.shape());
  double largest = 1;
  for (int64_t i = 0; i < gradient.size(); ++i)
    largest = std::max(largest, std::abs(gradient.at(i)));
  constexpr double kStep = 1e-5;
  const int64_t stride = std::max<int64_t>(1, x.size() / 50);
  double worst = 0;
  for (int64_t i = 0; i < x.size(); i += stride) {
    const double at = x.at(i);
    x.set(i, at + kStep);
    const double above = dot(run(call)[0], dy);
    x.set(i, at - kStep);
    const double below = dot(run(call)[0], dy);
    x.set(i, at);
    worst = std::max(worst, std::abs((above - below) / (2 * kStep) - gradient.at(i)));
  }
  CHECK(worst / largest < 1e-8);
}

Value random_like(const Sample& s) { return Value::random(s.call.outputs[0].shape(), 99); }

// The sum over all axes but the last: the gradient of a bias.
Value sum_to_last(const Value& v) {
  Shape shape;
  shape.rank = v.shape().rank;
  for (int i = 0; i < shape.rank; ++i) shape[i] = 1;
  shape[shape.rank - 1] = v.shape().last();
  const ReduceAttrs attrs{(1 << (shape.rank - 1)) - 1, false};
  const Value sum = run1(Op::reduce, &attrs, {v}, real(shape));
  return run1(Op::reshape, nullptr, {sum}, real({shape.last()}));
}

// What reaches the operator below its fused clamp.
Value through_mask(const Value& dy, const std::vector<Value>& outputs) {
  if (outputs.size() < 2) return dy;
  return run1(Op::mask_grad, nullptr, {dy, outputs[1]}, real(dy.shape()));
}

void for_samples(std::initializer_list<Op> ops, const std::function<void(const Sample&)>& f) {
  int found = 0;
  for (const Sample& s : samples()) {
    for (Op op : ops) {
      if (s.call.op != op) continue;
      f(s);
      ++found;
    }
  }
  CHECK(found >= static_cast<int>(ops.size()));
}

}  // namespace

TEST_CASE("gradients of convolutions are those of finite differences") {
  for_samples({Op::conv2d, Op::depthwise_conv2d}, [](const Sample& s) {
    const bool depthwise = s.call.op == Op::depthwise_conv2d;
    const Value dy = random_like(s);
    const Value d = through_mask(dy, run(s.call));
    const Value &x = s.call.inputs[0], &w = s.call.inputs[1];
    check_gradient(s, 0, dy,
                   run1(depthwise ? Op::depthwise_conv2d_grad_input : Op::conv2d_grad_input,
                        s.call.attrs, {d, w}, real(x.shape())));
    check_gradient(s, 1, dy,
                   run1(depthwise ? Op::depthwise_conv2d_grad_weight : Op::conv2d_grad_weight,
                        s.call.attrs, {x, d}, real(w.shape())));
    if (s.call.inputs.size() > 2) check_gradient(s, 2, dy, sum_to_last(d));
  });
}

TEST_CASE("gradients of linear are matmuls") {
  for_samples({Op::linear}, [](const Sample& s) {
    const Value dy = random_like(s);
    const Value d = through_mask(dy, run(s.call));
    const Value &x = s.call.inputs[0], &w = s.call.inputs[1];
    const MatmulAttrs plain{}, transpose_a{true, false};
    check_gradient(s, 0, dy, run1(Op::matmul, &plain, {d, w}, real(x.shape())));
    check_gradient(s, 1, dy, run1(Op::matmul, &transpose_a, {d, x}, real(w.shape())));
    if (s.call.inputs.size() > 2) check_gradient(s, 2, dy, sum_to_last(d));
  });
}

TEST_CASE("gradients of matmul are matmuls") {
  for_samples({Op::matmul}, [](const Sample& s) {
    const auto [ta, tb] = *static_cast<const MatmulAttrs*>(s.call.attrs);
    const Value &a = s.call.inputs[0], &b = s.call.inputs[1];
    const Value dy = random_like(s);
    const MatmulAttrs for_a = ta ? MatmulAttrs{tb, true} : MatmulAttrs{false, !tb};
    const MatmulAttrs for_b = tb ? MatmulAttrs{true, ta} : MatmulAttrs{!ta, false};
    check_gradient(
        s, 0, dy,
        run1(Op::matmul, &for_a, ta ? std::vector{b, dy} : std::vector{dy, b}, real(a.shape())));
    check_gradient(
        s, 1, dy,
        run1(Op::matmul, &for_b, tb ? std::vector{dy, a} : std::vector{a, dy}, real(b.shape())));
  });
}

TEST_CASE("gradients of batch_norm are those of finite differences") {
  for_samples({Op::batch_norm}, [](const Sample& s) {
    const std::vector<Value>& in = s.call.inputs;
    const Value dy = random_like(s);
    check_gradient(
        s, 0, dy,
        run1(Op::batch_norm_grad_input, s.call.attrs, {dy, in[1], in[4]}, real(in[0].shape())));
    check_gradient(s, 1, dy,
                   run1(Op::batch_norm_grad_gamma, s.call.attrs, {in[0], dy, in[3], in[4]},
                        real(in[1].shape())));
    check_gradient(s, 2, dy, sum_to_last(dy));
  });
}

TEST_CASE("gradients of batch_norm_train are those of finite differences") {
  for_samples({Op::batch_norm_train}, [](const Sample& s) {
    const std::vector<Value>& in = s.call.inputs;
    const std::vector<Value> outputs = run(s.call);
    const Value &mean = outputs[1], &var = outputs[2];
    // What has no weight in the loss has no gradient.
    Value dy = random_like(s);
    const int64_t each = dy.size() / in[5].size();
    for (int64_t i = 0; i < dy.size(); ++i)
      if (in[5].at(i / each) == 0) dy.set(i, 0);
    const Value dgamma =
        run1(Op::batch_norm_grad_gamma, s.call.attrs, {in[0], dy, mean, var}, real(in[1].shape()));
    const Value dbeta = sum_to_last(dy);
    check_gradient(s, 0, dy,
                   run1(Op::batch_norm_train_grad_input, s.call.attrs,
                        {dy, in[0], in[1], mean, var, dgamma, dbeta, in[5]}, real(in[0].shape())));
    check_gradient(s, 1, dy, dgamma);
    check_gradient(s, 2, dy, dbeta);
  });
}

TEST_CASE("gradients of activations are those of finite differences") {
  for_samples({Op::clamp, Op::hard_sigmoid}, [](const Sample& s) {
    const std::vector<Value> outputs = run(s.call);
    if (outputs.size() < 2) return;
    const Value dy = random_like(s);
    Value dx = through_mask(dy, outputs);
    if (s.call.op == Op::hard_sigmoid) {
      const ScaleAttrs alpha{static_cast<const HardSigmoidAttrs*>(s.call.attrs)->alpha, 0};
      dx = run1(Op::scale, &alpha, {dx}, real(dx.shape()));
    }
    check_gradient(s, 0, dy, dx);
  });
  for_samples({Op::hard_swish, Op::sigmoid, Op::tanh, Op::softmax}, [](const Sample& s) {
    const Value dy = random_like(s);
    const Value y = run(s.call)[0];
    const Value &x = s.call.inputs[0], &saved = s.call.op == Op::hard_swish ? x : y;
    const Op op = s.call.op == Op::hard_swish ? Op::hard_swish_grad
                  : s.call.op == Op::sigmoid  ? Op::sigmoid_grad
                  : s.call.op == Op::tanh     ? Op::tanh_grad
                                              : Op::softmax_grad;
    check_gradient(s, 0, dy, run1(op, nullptr, {dy, saved}, real(x.shape())));
  });
}

TEST_CASE("gradients of pooling are those of finite differences") {
  for_samples({Op::max_pool2d, Op::avg_pool2d}, [](const Sample& s) {
    const std::vector<Value> outputs = run(s.call);
    const Value dy = random_like(s);
    const Shape& x = s.call.inputs[0].shape();
    const Value dx = s.call.op == Op::max_pool2d
                         ? run1(Op::max_pool2d_grad, s.call.attrs, {dy, outputs[1]}, real(x))
                         : run1(Op::avg_pool2d_grad, s.call.attrs, {dy}, real(x));
    check_gradient(s, 0, dy, dx);
  });
}

TEST_CASE("reduce and broadcast_to are each other's gradients") {
  for_samples({Op::reduce}, [](const Sample& s) {
    const BroadcastAttrs attrs{static_cast<const ReduceAttrs*>(s.call.attrs)->mean};
    const Value dy = random_like(s);
    check_gradient(s, 0, dy, run1(Op::broadcast_to, &attrs, {dy}, real(s.call.inputs[0].shape())));
  });
  for_samples({Op::broadcast_to}, [](const Sample& s) {
    const Shape &from = s.call.inputs[0].shape(), &to = s.call.outputs[0].shape();
    if (from.rank != to.rank) return;
    ReduceAttrs attrs{0, static_cast<const BroadcastAttrs*>(s.call.attrs)->mean};
    for (int i = 0; i < to.rank; ++i)
      if (from[i] == 1 && to[i] != 1) attrs.axes |= 1 << i;
    const Value dy = random_like(s);
    check_gradient(s, 0, dy, run1(Op::reduce, &attrs, {dy}, real(from)));
  });
}

TEST_CASE("gradients of losses are those of finite differences") {
  const Value one = Value::reals({1}, {1});
  for_samples({Op::softmax_cross_entropy}, [&](const Sample& s) {
    const std::vector<Value> outputs = run(s.call);
    if (outputs.size() < 2) return;
    const std::vector<Value>& in = s.call.inputs;
    check_gradient(s, 0, one,
                   run1(Op::softmax_cross_entropy_grad, nullptr, {outputs[1], in[1], in[2]},
                        real(in[0].shape())));
  });
  for_samples({Op::mean_squared_error}, [&](const Sample& s) {
    check_gradient(
        s, 0, one,
        run1(Op::mean_squared_error_grad, nullptr, s.call.inputs, real(s.call.inputs[0].shape())));
  });
}

}  // namespace attune::test
