#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "tests/kernels/samples.h"

// NaN, infinities, ties and empty tensors.
namespace attune::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value real(Shape shape) { return Value(DType::f64, shape); }

Value map(Op op, const void* attrs, std::vector<double> x, DType dtype) {
  const Shape shape{static_cast<int32_t>(x.size())};
  RunOptions options;
  options.real = dtype;
  return run1(op, attrs, {Value::reals(shape, std::move(x))}, real(shape), options);
}

}  // namespace

TEST_CASE("NaN stays NaN, and its mask is false") {
  const ClampAttrs relu6{0, 6};
  const HardSigmoidAttrs hard{};
  for (DType dtype : {DType::f32, DType::f64}) {
    CHECK(std::isnan(map(Op::clamp, &relu6, {kNan}, dtype).at(0)));
    CHECK(std::isnan(map(Op::hard_sigmoid, &hard, {kNan}, dtype).at(0)));
    for (Op op : {Op::hard_swish, Op::sigmoid, Op::tanh})
      CHECK(std::isnan(map(op, nullptr, {kNan}, dtype).at(0)));
    const Value y = map(Op::softmax, nullptr, {1, kNan, 2}, dtype);
    for (int i = 0; i < 3; ++i) CHECK(std::isnan(y.at(i)));
  }
  const std::vector<Value> out = run({Op::clamp,
                                      &relu6,
                                      {Value::reals({5}, {kNan, 0, 6, 3, -kInfinity})},
                                      {real({5}), Value(DType::mask, {5})}});
  CHECK(static_cast<const uint8_t*>(out[1].data())[0] == 0b01000);
  CHECK(run1(Op::clamp_mask, &relu6, {out[0]}, out[1]).same_bits(out[1]));

  Conv2dAttrs conv;
  conv.clamp_min = 0;
  CHECK(std::isnan(run1(Op::conv2d, &conv,
                        {Value::reals({1, 1, 1, 1}, {kNan}), Value::reals({1, 1, 1, 1}, {1})},
                        real({1, 1, 1, 1}))
                       .at(0)));
}

TEST_CASE("NaN wins in minima and maxima, equals nothing, and rounds to itself") {
  for (DType dtype : {DType::f32, DType::f64}) {
    RunOptions options;
    options.real = dtype;
    const auto both = [&](Op op, double a, double b) {
      const Call call{op, nullptr, {Value::reals({1}, {a}), Value::reals({1}, {b})}, {real({1})}};
      return run(call, options)[0].at(0);
    };
    for (Op op : {Op::minimum, Op::maximum}) {
      CHECK(std::isnan(both(op, kNan, 1)));
      CHECK(std::isnan(both(op, 1, kNan)));
    }
    for (Op op : {Op::equal, Op::less, Op::less_or_equal}) CHECK(both(op, kNan, kNan) == 0);
    CHECK(both(Op::equal, kInfinity, kInfinity) == 1);
    for (Op op : {Op::floor, Op::round, Op::trunc, Op::sign, Op::abs, Op::exp, Op::log})
      CHECK(std::isnan(map(op, nullptr, {kNan}, dtype).at(0)));
    CHECK(map(Op::log, nullptr, {0}, dtype).at(0) == -kInfinity);
    CHECK(std::isnan(map(Op::log, nullptr, {-1}, dtype).at(0)));
    for (const double half : {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5})
      CHECK(map(Op::round, nullptr, {half}, dtype).at(0) == 2 * std::round(half / 2));
  }
  const Value places =
      run1(Op::to_places, nullptr, {Value::reals({5}, {-2.9, 2.9, kNan, 1e20, -1e20})},
           Value(DType::i32, {5}));
  const double smallest = std::numeric_limits<int32_t>::min();
  const double want[] = {-2, 2, smallest, smallest, smallest};
  for (int i = 0; i < 5; ++i) CHECK(places.at(i) == want[i]);
}

// A mask of -infinity switches places off; where all are off, there is no distribution.
TEST_CASE("softmax of infinities is PyTorch's") {
  for (DType dtype : {DType::f32, DType::f64}) {
    const Value some = map(Op::softmax, nullptr, {-kInfinity, 1, 1, -kInfinity}, dtype);
    for (int i = 0; i < 4; ++i) CHECK(some.at(i) == (i == 1 || i == 2 ? 0.5 : 0));
    const Value none = map(Op::softmax, nullptr, {-kInfinity, -kInfinity}, dtype);
    for (int i = 0; i < 2; ++i) CHECK(std::isnan(none.at(i)));
    const Value log = map(Op::log_softmax, nullptr, {-kInfinity, 0, 0}, dtype);
    CHECK(log.at(0) == -kInfinity);
    CHECK(std::fabs(log.at(1) + std::log(2.0)) < 1e-6);
  }
}

// A convolution by 1 hands its input to its clamp.
TEST_CASE("every kernel's mask is false at the bounds of a clamp, and for NaN") {
  constexpr double kTiny = 1e-45;
  const std::vector<double> edges{0,  -0.0, kTiny, -kTiny, 6,         -1,         1,    3,
                                  -7, 7,    -6,    kNan,   kInfinity, -kInfinity, -kNan};
  const std::pair<double, double> bounds[] = {{0, 6}, {0, kInfinity}, {-0.0, 6},      {-1, 1},
                                              {1, 3}, {-6, 0},        {-kInfinity, 0}};
  for (const int32_t channels : {8, 16, 24, 40, 64}) {
    const Shape shape{1, 4, 14, channels};
    Value x(DType::f64, shape);
    for (int64_t i = 0; i < x.size(); ++i) x.set(i, edges[static_cast<size_t>(i) % edges.size()]);
    Value depthwise(DType::f64, {3, 3, channels});
    for (int32_t c = 0; c < channels; ++c) depthwise.set(4 * channels + c, 1);
    for (const auto& [min, max] : bounds) {
      INFO(channels, " channels, ", min, " .. ", max);
      Conv2dAttrs conv;
      conv.clamp_min = min, conv.clamp_max = max;
      Value finite = x;
      for (int64_t i = 0; i < x.size(); ++i)
        if (!std::isfinite(x.at(i))) finite.set(i, 2);
      Value identity(DType::f64, {channels, 1, 1, channels});
      for (int32_t c = 0; c < channels; ++c) identity.set(int64_t{c} * channels + c, 1);
      // What is not finite comes from the bias.
      Value bias(DType::f64, {channels});
      for (int32_t c = 0; c < channels; ++c)
        if (c % 5 == 4) bias.set(c, edges[11 + static_cast<size_t>(c / 5) % 4]);
      const ClampAttrs clamp{min, max};
      Conv2dAttrs same = conv;
      same.pad_top = same.pad_left = same.pad_bottom = same.pad_right = 1;
      const Value mask(DType::mask, shape);
      const Call calls[] = {
          {Op::clamp, &clamp, {x}, {real(shape), mask}},
          {Op::conv2d, &conv, {finite, identity, bias}, {real(shape), mask}},
          {Op::depthwise_conv2d, &same, {finite, depthwise, bias}, {real(shape), mask}},
          {Op::clamp_mask, &clamp, {run1(Op::clamp, &clamp, {x}, real(shape))}, {mask}}};
      for (const Call& call : calls) {
        INFO(op_name(call.op));
        RunOptions options;
        options.real = DType::f32;
        const Value expected = run(call, options).back();
        for (const Backend backend : {Backend::simd, Backend::eigen}) {
          if (!supports(backend, call, DType::f32)) continue;
          options.backend = backend;
          CHECK(run(call, options).back().same_bits(expected));
        }
      }
    }
  }
}

TEST_CASE("mask_grad drops a masked NaN") {
  Value mask(DType::mask, {2});
  mask.set(1, 1);
  const Value dx = run1(Op::mask_grad, nullptr, {Value::reals({2}, {kNan, 3}), mask}, real({2}));
  CHECK(dx.at(0) == 0);
  CHECK(dx.at(1) == 3);
}

TEST_CASE("activations have their limits far from 0") {
  for (DType dtype : {DType::f32, DType::f64}) {
    const Value s = map(Op::sigmoid, nullptr, {-kInfinity, -1e4, 1e4, kInfinity}, dtype);
    const Value t = map(Op::tanh, nullptr, {-kInfinity, -1e4, 1e4, kInfinity}, dtype);
    for (int i = 0; i < 4; ++i) {
      CHECK(s.at(i) == (i < 2 ? 0 : 1));
      CHECK(t.at(i) == (i < 2 ? -1 : 1));
    }
    const Value p = map(Op::softmax, nullptr, {1e4, -1e4, 1e4, -kInfinity}, dtype);
    for (int i = 0; i < 4; ++i) CHECK(p.at(i) == (i % 2 == 0 ? 0.5 : 0));
  }
}

TEST_CASE("hard_swish has no gradient at -3 and all of it at 3") {
  const Value x = Value::reals({5}, {-4, -3, 0, 3, 4}), dy = Value::reals({5}, {2, 2, 2, 2, 2});
  CHECK(run1(Op::hard_swish_grad, nullptr, {dy, x}, real({5}))
            .same_bits(Value::reals({5}, {0, 0, 1, 2, 2})));
}

TEST_CASE("max_pool2d takes the first of equals, NaN before all, and never the padding") {
  Pool2dAttrs a;
  a.kernel_h = a.input_h = 1;
  a.kernel_w = 3, a.stride_w = 3, a.pad_left = 1, a.pad_right = 4;
  a.input_w = 13;
  const Value x = Value::reals(
      {1, 1, 13, 1}, {-1, -2, 5, 5, 5, 1, kNan, kNan, -kInfinity, -kInfinity, -kInfinity, -7, -8});
  const Shape shape{1, 1, 6, 1};
  const std::vector<Value> out =
      run({Op::max_pool2d, &a, {x}, {real(shape), Value(DType::i32, shape)}});
  const int argmax[] = {0, 2, 6, 8, 11, -1};
  for (int i = 0; i < 6; ++i) CHECK(out[1].at(i) == argmax[i]);
  CHECK(out[0].at(0) == -1);
  CHECK(out[0].at(1) == 5);
  CHECK(std::isnan(out[0].at(2)));
  CHECK(out[0].at(3) == -kInfinity);
  CHECK(out[0].at(4) == -7);
  CHECK(out[0].at(5) == -kInfinity);  // a window of padding alone
  const Value dx = run1(Op::max_pool2d_grad, &a, {Value::reals(shape, {1, 2, 3, 4, 5, 6}), out[1]},
                        real({1, 1, 13, 1}));
  CHECK(dx.same_bits(Value::reals({1, 1, 13, 1}, {1, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0, 5, 0})));
}

TEST_CASE("convolution leaves padding out: an infinite weight does not meet a zero") {
  Conv2dAttrs a;
  a.pad_left = a.pad_top = 1;
  a.kernel_h = a.kernel_w = 2, a.input_h = a.input_w = 1;
  const Value x = Value::reals({1, 1, 1, 1}, {2});
  const Value w = Value::reals({1, 2, 2, 1}, {kInfinity, kInfinity, kInfinity, 3});
  CHECK(run1(Op::conv2d, &a, {x, w}, real({1, 1, 1, 1})).at(0) == 6);
  const Value dw = Value::reals({2, 2, 1}, {kInfinity, kInfinity, kInfinity, 3});
  CHECK(run1(Op::depthwise_conv2d, &a, {x, dw}, real({1, 1, 1, 1})).at(0) == 6);
}

TEST_CASE("kernels take tensors without elements") {
  const ReduceAttrs sum{1, false};
  CHECK(run1(Op::reduce, &sum, {real({0, 3})}, real({1, 3}))
            .same_bits(Value::reals({1, 3}, {0, 0, 0})));
  for (Op op : {Op::sigmoid, Op::softmax, Op::hard_swish, Op::reshape})
    CHECK(run1(op, nullptr, {real({0, 3})}, real({0, 3})).size() == 0);
  CHECK(run1(Op::softmax, nullptr, {real({3, 0})}, real({3, 0})).size() == 0);
  CHECK(run1(Op::add, nullptr, {real({0, 3}), real({3})}, real({0, 3})).size() == 0);
  const MatmulAttrs plain{};
  CHECK(run1(Op::matmul, &plain, {real({2, 0}), real({0, 3})}, real({2, 3}))
            .same_bits(Value(DType::f64, {2, 3})));
  const AxisAttrs axis{0};
  CHECK(run1(Op::concat, &axis, {real({0, 2}), Value::reals({1, 2}, {3, 4})}, real({1, 2}))
            .same_bits(Value::reals({1, 2}, {3, 4})));
  const SgdAttrs sgd{};
  const Value w = Value::random({3, 2}, 1), lr = Value::reals({1}, {1});
  CHECK(run1(Op::sgd, &sgd, {w, real({0, 2}), lr, Value(DType::i32, {0})}, real({3, 2}))
            .same_bits(w));
}

}  // namespace attune::test
