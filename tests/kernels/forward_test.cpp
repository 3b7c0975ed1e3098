#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/kernels/samples.h"
#include "tests/support/custom_operators.h"

// Forward kernels against their definitions, written once more with indices alone.
namespace attune::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Index = std::array<int, kMaxRank>;

// Calls f(flat, index) for every element of a shape.
void for_index(const Shape& shape, const std::function<void(int64_t, const Index&)>& f) {
  Index index{};
  for (int64_t i = 0; i < shape.elements(); ++i) {
    f(i, index);
    for (int axis = shape.rank - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis)
      index[axis] = 0;
  }
}

int64_t flat(const Shape& shape, const Index& index) {
  int64_t i = 0;
  for (int axis = 0; axis < shape.rank; ++axis) i = i * shape[axis] + index[axis];
  return i;
}

double pixel(const Value& x, int n, int h, int w, int c) {
  return x.at(flat(x.shape(), {n, h, w, c}));
}

// Calls f(kh, kw, h, w) for the taps of output (oh, ow), those in the padding too.
template <class A>
void for_taps(const A& a, int oh, int ow, const std::function<void(int, int, int, int)>& f) {
  for (int kh = 0; kh < a.kernel_h; ++kh)
    for (int kw = 0; kw < a.kernel_w; ++kw)
      f(kh, kw, oh * a.stride_h - a.pad_top + kh * a.dilation_h,
        ow * a.stride_w - a.pad_left + kw * a.dilation_w);
}

template <class A>
bool inside(const A& a, int h, int w) {
  return h >= 0 && h < a.input_h && w >= 0 && w < a.input_w;
}

void check_op(Op op, const std::function<double(const Call&, int64_t, const Index&)>& definition,
              size_t output = 0) {
  int found = 0;
  for (const Sample& s : samples()) {
    if (s.call.op != op || s.call.outputs.size() <= output) continue;
    ++found;
    INFO(op_name(op), " ", s.name, " ", shape_text(s.call.outputs[0].shape()));
    const std::vector<Value> outputs = run(s.call);
    Value expected = outputs[output];
    for_index(expected.shape(),
              [&](int64_t i, const Index& at) { expected.set(i, definition(s.call, i, at)); });
    CHECK(relative_difference(outputs[output], expected) < 1e-14);
  }
  CHECK(found > 0);
}

template <class A>
const A& attrs_of(const Call& call) {
  return *static_cast<const A*>(call.attrs);
}

template <class A>
double clamped(const A& a, double y) {
  return std::min(std::max(y, a.clamp_min), a.clamp_max);
}

// The element of an input, broadcast, that an element of the output is made of.
double operand(const Call& call, int input, const Index& at) {
  const Shape &from = call.inputs[input].shape(), &to = call.outputs[0].shape();
  Index index{};
  for (int i = 0; i < from.rank; ++i) index[i] = from[i] == 1 ? 0 : at[to.rank - from.rank + i];
  return call.inputs[input].at(flat(from, index));
}

double bias_of(const Call& call, int channel) {
  return call.inputs.size() > 2 ? call.inputs[2].at(channel) : 0;
}

}  // namespace

TEST_CASE("conv2d is its definition") {
  check_op(Op::conv2d, [](const Call& call, int64_t, const Index& at) {
    const auto& a = attrs_of<Conv2dAttrs>(call);
    const Value &x = call.inputs[0], &w = call.inputs[1];
    const int o = at[3], inputs = w.shape()[3];
    const int first = o / (w.shape()[0] / a.groups) * inputs;
    double sum = bias_of(call, o);
    for_taps(a, at[1], at[2], [&](int kh, int kw, int h, int v) {
      if (!inside(a, h, v)) return;
      for (int i = 0; i < inputs; ++i)
        sum += pixel(x, at[0], h, v, first + i) * pixel(w, o, kh, kw, i);
    });
    return clamped(a, sum);
  });
}

TEST_CASE("conv2d_transpose is its definition") {
  check_op(Op::conv2d_transpose, [](const Call& call, int64_t, const Index& at) {
    const auto& a = attrs_of<Conv2dAttrs>(call);
    const Value &x = call.inputs[0], &w = call.inputs[1];
    const int outputs = w.shape()[3], inputs = w.shape()[0] / a.groups;
    const int first = at[3] / outputs * inputs;
    double sum = 0;
    for (int oh = 0; oh < x.shape()[1]; ++oh)
      for (int ow = 0; ow < x.shape()[2]; ++ow)
        for_taps(a, oh, ow, [&](int kh, int kw, int h, int v) {
          if (h != at[1] || v != at[2]) return;
          for (int i = first; i < first + inputs; ++i)
            sum += pixel(x, at[0], oh, ow, i) * pixel(w, i, kh, kw, at[3] % outputs);
        });
    return sum;
  });
}

TEST_CASE("depthwise_conv2d is its definition") {
  check_op(Op::depthwise_conv2d, [](const Call& call, int64_t, const Index& at) {
    const auto& a = attrs_of<Conv2dAttrs>(call);
    const Value &x = call.inputs[0], &w = call.inputs[1];
    double sum = bias_of(call, at[3]);
    for_taps(a, at[1], at[2], [&](int kh, int kw, int h, int v) {
      if (inside(a, h, v))
        sum += pixel(x, at[0], h, v, at[3]) * w.at(flat(w.shape(), {kh, kw, at[3]}));
    });
    return clamped(a, sum);
  });
}

TEST_CASE("a mask is made again from what was clamped") {
  int checked = 0;
  for (const Sample& s : samples()) {
    if (s.call.outputs.size() < 2 || s.call.outputs[1].dtype() != DType::mask) continue;
    INFO(op_name(s.call.op), " ", s.name);
    ClampAttrs bounds{0, 1};
    if (s.call.op == Op::clamp)
      bounds = attrs_of<ClampAttrs>(s.call);
    else if (s.call.op == Op::linear)
      bounds = {attrs_of<LinearAttrs>(s.call).clamp_min, attrs_of<LinearAttrs>(s.call).clamp_max};
    else if (s.call.op != Op::hard_sigmoid)
      bounds = {attrs_of<Conv2dAttrs>(s.call).clamp_min, attrs_of<Conv2dAttrs>(s.call).clamp_max};
    const std::vector<Value> out = run(s.call);
    CHECK(run1(Op::clamp_mask, &bounds, {out[0]}, out[1]).same_bits(out[1]));
    ++checked;
  }
  CHECK(checked > 10);
}

TEST_CASE("masks are true strictly between the bounds") {
  int checked = 0;
  for (const Sample& s : samples()) {
    if (s.call.outputs.size() < 2 || s.call.outputs[1].dtype() != DType::mask) continue;
    INFO(op_name(s.call.op), " ", s.name);
    double low = 0, high = 1;
    if (s.call.op == Op::clamp)
      low = attrs_of<ClampAttrs>(s.call).min, high = attrs_of<ClampAttrs>(s.call).max;
    else if (s.call.op == Op::linear)
      low = attrs_of<LinearAttrs>(s.call).clamp_min, high = attrs_of<LinearAttrs>(s.call).clamp_max;
    else if (s.call.op != Op::hard_sigmoid)
      low = attrs_of<Conv2dAttrs>(s.call).clamp_min, high = attrs_of<Conv2dAttrs>(s.call).clamp_max;
    const std::vector<Value> out = run(s.call);
    int64_t wrong = 0;
    for (int64_t i = 0; i < out[0].size(); ++i)
      wrong += (out[0].at(i) > low && out[0].at(i) < high) != (out[1].at(i) == 1);
    CHECK(wrong == 0);
    ++checked;
  }
  CHECK(checked > 30);
}

TEST_CASE("linear and matmul are their definitions") {
  check_op(Op::linear, [](const Call& call, int64_t, const Index& at) {
    const Value &x = call.inputs[0], &w = call.inputs[1];
    double sum = bias_of(call, at[1]);
    for (int i = 0; i < x.shape()[1]; ++i)
      sum += x.at(flat(x.shape(), {at[0], i})) * w.at(flat(w.shape(), {at[1], i}));
    return clamped(attrs_of<LinearAttrs>(call), sum);
  });
  check_op(Op::matmul, [](const Call& call, int64_t, const Index& at) {
    const auto [ta, tb] = attrs_of<MatmulAttrs>(call);
    const Value &a = call.inputs[0], &b = call.inputs[1];
    double sum = 0;
    for (int k = 0; k < a.shape()[ta ? 1 : 2]; ++k)
      sum += a.at(flat(a.shape(), ta ? Index{at[0], k, at[1]} : Index{at[0], at[1], k})) *
             b.at(flat(b.shape(), tb ? Index{at[0], at[2], k} : Index{at[0], k, at[2]}));
    return sum;
  });
}

TEST_CASE("batch_norm is its definition") {
  check_op(Op::batch_norm, [](const Call& call, int64_t i, const Index& at) {
    const std::vector<Value>& in = call.inputs;
    const int c = at[call.outputs[0].shape().rank - 1];
    const double epsilon = attrs_of<BatchNormAttrs>(call).epsilon;
    return (in[0].at(i) - in[3].at(c)) / std::sqrt(in[4].at(c) + epsilon) * in[1].at(c) +
           in[2].at(c);
  });
}

namespace {

// Mean and biased variance of a channel over the examples of a weight; running ones where these
// have one value alone. Also how many values they have.
struct ChannelStatistics {
  double mean = 0, variance = 0, values = 0;
  ChannelStatistics(const std::vector<Value>& in, int c) {
    const Value &x = in[0], &weights = in[5];
    const int channels = x.shape().last();
    const int64_t each = x.size() / weights.size();
    std::vector<double> counted;
    for (int64_t i = c; i < x.size(); i += channels)
      if (weights.at(i / each) != 0) counted.push_back(x.at(i));
    values = static_cast<double>(counted.size());
    if (values < 2) {
      mean = in[3].at(c), variance = in[4].at(c);
      return;
    }
    for (double v : counted) mean += v / values;
    for (double v : counted) variance += (v - mean) * (v - mean) / values;
  }
};

}  // namespace

TEST_CASE("batch_norm_train is its definition") {
  check_op(Op::batch_norm_train, [](const Call& call, int64_t i, const Index& at) {
    const std::vector<Value>& in = call.inputs;
    const int c = at[call.outputs[0].shape().rank - 1];
    const ChannelStatistics s(in, c);
    const double epsilon = attrs_of<BatchNormAttrs>(call).epsilon;
    return (in[0].at(i) - s.mean) / std::sqrt(s.variance + epsilon) * in[1].at(c) + in[2].at(c);
  });
  check_op(
      Op::batch_norm_train,
      [](const Call& call, int64_t c, const Index&) {
        return ChannelStatistics(call.inputs, static_cast<int>(c)).mean;
      },
      1);
  check_op(
      Op::batch_norm_train,
      [](const Call& call, int64_t c, const Index&) {
        return ChannelStatistics(call.inputs, static_cast<int>(c)).variance;
      },
      2);
}

TEST_CASE("running_statistics averages as torch.nn.BatchNorm does") {
  for (const int output : {0, 1})
    check_op(
        Op::running_statistics,
        [&](const Call& call, int64_t c, const Index&) {
          const std::vector<Value>& in = call.inputs;
          const auto& attrs = attrs_of<RunningStatisticsAttrs>(call);
          double n = 0;
          for (int64_t i = 0; i < in[4].size(); ++i)
            if (in[4].at(i) != 0) n += attrs.positions;
          const double momentum = in[5].absent() ? 1 - attrs.momentum : 1 / in[5].at(0);
          const double unbiased = output == 1 && n > 1 ? n / (n - 1) : 1;
          return (1 - momentum) * in[static_cast<size_t>(output)].at(c) +
                 momentum * unbiased * in[static_cast<size_t>(2 + output)].at(c);
        },
        static_cast<size_t>(output));
}

TEST_CASE("arithmetic broadcasts as NumPy does") {
  check_op(Op::add, [&](const Call& call, int64_t, const Index& at) {
    return operand(call, 0, at) + operand(call, 1, at);
  });
  check_op(Op::sub, [&](const Call& call, int64_t, const Index& at) {
    return operand(call, 0, at) - operand(call, 1, at);
  });
  check_op(Op::mul, [&](const Call& call, int64_t, const Index& at) {
    return operand(call, 0, at) * operand(call, 1, at);
  });
  check_op(Op::div, [&](const Call& call, int64_t, const Index& at) {
    return operand(call, 0, at) / operand(call, 1, at);
  });
  check_op(Op::broadcast_to, [&](const Call& call, int64_t, const Index& at) {
    const double repeats =
        static_cast<double>(call.outputs[0].size()) / static_cast<double>(call.inputs[0].size());
    return operand(call, 0, at) / (attrs_of<BroadcastAttrs>(call).mean ? repeats : 1);
  });
}

TEST_CASE("activations are their definitions") {
  const auto check = [](Op op, double (*f)(const Call&, double)) {
    check_op(op, [f](const Call& call, int64_t i, const Index&) {
      return f(call, call.inputs[0].at(i));
    });
  };
  check(Op::scale, [](const Call& call, double x) {
    return attrs_of<ScaleAttrs>(call).factor * x + attrs_of<ScaleAttrs>(call).offset;
  });
  check(Op::clamp, [](const Call& call, double x) {
    return std::min(std::max(x, attrs_of<ClampAttrs>(call).min), attrs_of<ClampAttrs>(call).max);
  });
  check(Op::hard_sigmoid, [](const Call& call, double x) {
    const auto& a = attrs_of<HardSigmoidAttrs>(call);
    return std::min(std::max(a.alpha * x + a.beta, 0.0), 1.0);
  });
  check(Op::hard_swish,
        [](const Call&, double x) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; });
  check(Op::sigmoid, [](const Call&, double x) { return 1 / (1 + std::exp(-x)); });
  check(Op::tanh, [](const Call&, double x) { return std::tanh(x); });
  check(Op::sqrt, [](const Call&, double x) { return std::sqrt(x); });
  check(Op::softplus, [](const Call&, double x) { return std::log(1 + std::exp(x)); });
  check(Op::reshape, [](const Call&, double x) { return x; });
  check_op(Op::mask_grad, [](const Call& call, int64_t i, const Index&) {
    return call.inputs[1].at(i) * call.inputs[0].at(i);
  });
  check_op(
      Op::mask_grad,
      [](const Call& call, int64_t i, const Index&) {
        const Value &dy = call.inputs[0], &mask = call.inputs[1];
        double sum = 0;
        for (int64_t at = i; at < dy.size(); at += dy.shape().last())
          sum += mask.at(at) * dy.at(at);
        return sum;
      },
      1);
  check_op(Op::softmax, [](const Call& call, int64_t i, const Index&) {
    const Value& x = call.inputs[0];
    const int64_t width = x.shape().last(), row = i / width * width;
    double sum = 0;
    for (int64_t j = 0; j < width; ++j) sum += std::exp(x.at(row + j));
    return std::exp(x.at(i)) / sum;
  });
  check_op(Op::log_softmax, [](const Call& call, int64_t i, const Index&) {
    const Value& x = call.inputs[0];
    const int64_t width = x.shape().last(), row = i / width * width;
    double sum = 0;
    for (int64_t j = 0; j < width; ++j) sum += std::exp(x.at(row + j));
    return x.at(i) - std::log(sum);
  });
}

TEST_CASE("elementary functions are their definitions") {
  const auto check = [](Op op, double (*f)(double)) {
    check_op(op,
             [f](const Call& call, int64_t i, const Index&) { return f(call.inputs[0].at(i)); });
  };
  check(Op::exp, [](double x) { return std::exp(x); });
  check(Op::log, [](double x) { return std::log(x); });
  check(Op::erf, [](double x) { return std::erf(x); });
  check(Op::abs, [](double x) { return x < 0 ? -x : x; });
  check(Op::sin, [](double x) { return std::sin(x); });
  check(Op::cos, [](double x) { return std::cos(x); });
  check(Op::floor, [](double x) { return std::floor(x); });
  check(Op::round, [](double x) {
    const double below = std::floor(x), part = x - below;
    const bool up = part > 0.5 || (part == 0.5 && std::fmod(below, 2) != 0);
    return up ? below + 1 : below;
  });
  check(Op::trunc, [](double x) { return x < 0 ? std::ceil(x) : std::floor(x); });
  check(Op::sign, [](double x) { return static_cast<double>((x > 0) - (x < 0)); });
  check(Op::to_real, [](double x) { return x; });
  check(Op::to_places, [](double x) { return std::trunc(x); });
}

TEST_CASE("comparisons, choices and powers are their definitions, broadcast") {
  const auto check = [](Op op, double (*f)(double, double)) {
    check_op(op, [f](const Call& call, int64_t, const Index& at) {
      return f(operand(call, 0, at), operand(call, 1, at));
    });
  };
  check(Op::minimum, [](double a, double b) { return a < b ? a : b; });
  check(Op::maximum, [](double a, double b) { return a < b ? b : a; });
  check(Op::equal, [](double a, double b) { return a == b ? 1.0 : 0.0; });
  check(Op::less, [](double a, double b) { return a < b ? 1.0 : 0.0; });
  check(Op::less_or_equal, [](double a, double b) { return a <= b ? 1.0 : 0.0; });
  check(Op::pow, [](double a, double b) { return std::exp(b * std::log(a)); });
  check_op(Op::where, [](const Call& call, int64_t, const Index& at) {
    return operand(call, 0, at) != 0 ? operand(call, 1, at) : operand(call, 2, at);
  });
}

TEST_CASE("reductions of the last axis are their definitions") {
  const auto over_row = [](const Call& call, int input, int64_t row, double start,
                           double (*f)(double, double)) {
    const Value& x = call.inputs[input];
    const int64_t width = x.shape().last();
    for (int64_t j = 0; j < width; ++j) start = f(start, x.at(row * width + j));
    return start;
  };
  const auto product = [](double a, double b) { return a * b; };
  check_op(Op::reduce_max, [&](const Call& call, int64_t i, const Index&) {
    return over_row(call, 0, i, -kInfinity, [](double a, double b) { return a < b ? b : a; });
  });
  check_op(Op::reduce_prod, [&](const Call& call, int64_t i, const Index&) {
    return over_row(call, 0, i, 1, product);
  });
  check_op(Op::reduce_prod_grad, [](const Call& call, int64_t i, const Index&) {
    const Value &dy = call.inputs[0], &x = call.inputs[1];
    const int64_t width = x.shape().last(), row = i / width;
    double others = dy.at(row);
    for (int64_t j = row * width; j < (row + 1) * width; ++j)
      if (j != i) others *= x.at(j);
    return others;
  });
}

TEST_CASE("random numbers follow from seed, step and place alone, and have their distribution") {
  const auto drawn = [](int seed, bool normal, int step, int count) {
    const RandomAttrs attrs{.seed = seed, .normal = normal};
    return run1(Op::random, &attrs, {Value::ints({1}, {step})}, Value(DType::f64, {count}));
  };
  constexpr int kMany = 100000;
  for (const bool normal : {false, true}) {
    CAPTURE(normal);
    const Value all = drawn(1, normal, 1, kMany);
    double sum = 0, squares = 0, least = kInfinity, most = -kInfinity, neighbours = 0;
    for (int i = 0; i < kMany; ++i) {
      const double x = all.at(i);
      sum += x, squares += x * x;
      least = std::min(least, x), most = std::max(most, x);
      if (i > 0) neighbours += x * all.at(i - 1);
    }
    const double mean = sum / kMany, variance = squares / kMany - mean * mean;
    CHECK(std::fabs(mean - (normal ? 0 : 0.5)) < 0.01);
    CHECK(std::fabs(variance - (normal ? 1 : 1.0 / 12)) < 0.02);
    CHECK(std::fabs(neighbours / kMany - mean * mean) < 0.01);
    if (!normal) CHECK_UNARY(least >= 0 && most < 1);
    const Value part = drawn(1, normal, 1, 10);
    for (int i = 0; i < 10; ++i) CHECK(part.at(i) == all.at(i));
    CHECK(drawn(2, normal, 1, 10).at(3) != all.at(3));
    CHECK(drawn(1, normal, 2, 10).at(3) != all.at(3));
  }
}

TEST_CASE("pooling is its definition") {
  for (const Sample& s : samples()) {
    if (s.call.op != Op::max_pool2d) continue;
    INFO(s.name);
    const auto& a = attrs_of<Pool2dAttrs>(s.call);
    const Value& x = s.call.inputs[0];
    const std::vector<Value> out = run(s.call);
    int wrong = 0;
    for_index(out[0].shape(), [&](int64_t i, const Index& at) {
      double best = -kInfinity;
      int argmax = -1;
      for_taps(a, at[1], at[2], [&](int, int, int h, int w) {
        if (!inside(a, h, w) || pixel(x, at[0], h, w, at[3]) <= best) return;
        best = pixel(x, at[0], h, w, at[3]);
        argmax = h * a.input_w + w;
      });
      wrong += out[0].at(i) != best || out[1].at(i) != argmax;
    });
    CHECK(wrong == 0);
    Call without = s.call;
    without.outputs.pop_back();
    CHECK(run(without)[0].same_bits(out[0]));
  }
  check_op(Op::avg_pool2d, [](const Call& call, int64_t, const Index& at) {
    const auto& a = attrs_of<Pool2dAttrs>(call);
    double sum = 0;
    int count = 0;
    for_taps(a, at[1], at[2], [&](int, int, int h, int w) {
      count += a.count_padding ? h < a.input_h + a.pad_bottom && w < a.input_w + a.pad_right
                               : inside(a, h, w);
      if (inside(a, h, w)) sum += pixel(call.inputs[0], at[0], h, w, at[3]);
    });
    return count == 0 ? 0 : sum / count;
  });
}

TEST_CASE("windows that reach beyond the padding count what is there, as PyTorch's ceil_mode") {
  Value x(DType::f64, {1, 5, 5, 1});
  for (int i = 0; i < 25; ++i) x.set(i, i + 1);
  Pool2dAttrs a;
  a.kernel_h = a.kernel_w = a.stride_h = a.stride_w = 2;
  a.input_h = a.input_w = 5;
  const Value expected =
      Value::reals({1, 3, 3, 1}, {4.0, 6.0, 7.5, 14.0, 16.0, 17.5, 21.5, 23.5, 25.0});
  for (bool count_padding : {false, true}) {
    a.count_padding = count_padding;
    CHECK(run1(Op::avg_pool2d, &a, {x}, Value(DType::f64, {1, 3, 3, 1})).same_bits(expected));
  }
}

TEST_CASE("reduce is its definition") {
  check_op(Op::reduce, [](const Call& call, int64_t, const Index& at) {
    const auto& a = attrs_of<ReduceAttrs>(call);
    const Shape &from = call.inputs[0].shape(), &to = call.outputs[0].shape();
    Shape reduced;
    for (int i = 0; i < from.rank; ++i) reduced[i] = to[i] == from[i] ? 1 : from[i];
    reduced.rank = from.rank;
    double sum = 0;
    for_index(reduced, [&](int64_t, const Index& offset) {
      Index index = at;
      for (int i = 0; i < from.rank; ++i) index[i] += offset[i];
      sum += call.inputs[0].at(flat(from, index));
    });
    return a.mean ? sum / static_cast<double>(reduced.elements()) : sum;
  });
}

TEST_CASE("kernels that move elements put each where it belongs") {
  check_op(Op::transpose, [](const Call& call, int64_t, const Index& at) {
    const Shape& from = call.inputs[0].shape();
    Index index{};
    for (int i = 0; i < from.rank; ++i) index[attrs_of<TransposeAttrs>(call).perm[i]] = at[i];
    return call.inputs[0].at(flat(from, index));
  });
  check_op(Op::concat, [](const Call& call, int64_t, Index at) {
    const int axis = attrs_of<AxisAttrs>(call).axis;
    size_t k = 0;
    while (at[axis] >= call.inputs[k].shape()[axis]) at[axis] -= call.inputs[k++].shape()[axis];
    return call.inputs[k].at(flat(call.inputs[k].shape(), at));
  });
  check_op(Op::slice, [](const Call& call, int64_t, Index at) {
    const auto& a = attrs_of<SliceAttrs>(call);
    at[a.axis] += a.start;
    return call.inputs[0].at(flat(call.inputs[0].shape(), at));
  });
  check_op(Op::gather, [](const Call& call, int64_t, Index at) {
    const int axis = attrs_of<AxisAttrs>(call).axis;
    at[axis] = static_cast<int>(call.inputs[1].at(at[axis]));
    return call.inputs[0].at(flat(call.inputs[0].shape(), at));
  });
  check_op(Op::interleave, [](const Call& call, int64_t, Index at) {
    const int axis = attrs_of<AxisAttrs>(call).axis;
    const Value& places = call.inputs[2];
    int before = 0, of_y = -1;
    for (int k = 0; k < places.size(); ++k) {
      if (places.at(k) == at[axis]) of_y = k;
      before += places.at(k) < at[axis];
    }
    at[axis] = of_y >= 0 ? of_y : at[axis] - before;
    const Value& from = call.inputs[of_y >= 0 ? 0 : 1];
    return from.at(flat(from.shape(), at));
  });
  check_op(Op::take, [](const Call& call, int64_t i, const Index&) {
    const Value &table = call.inputs[0], &ids = call.inputs[1];
    const int64_t width = table.shape()[1], id = static_cast<int64_t>(ids.at(i / width));
    return table.at((id < 0 ? id + table.shape()[0] : id) * width + i % width);
  });
  check_op(Op::custom, [](const Call& call, int64_t i, const Index&) {
    const std::string_view name = custom_name(*static_cast<const CustomAttrs*>(call.attrs));
    const auto gain = [&](size_t input, int64_t at) {  // of x, by a
      const double x = call.inputs[input].at(at);
      const double a = call.inputs[input + 1].at(at % call.inputs[input + 1].size());
      return std::pair{x, a};
    };
    if (name == kSnakeGradA.name) {
      double sum = 0;
      for (int64_t k = i; k < call.inputs[0].size(); k += call.inputs[2].size()) {
        const auto [x, a] = gain(1, k);
        const double sine = std::sin(a * x);
        sum += 0.75 * call.inputs[0].at(k) * (x * std::sin(2 * a * x) / a - sine * sine / (a * a));
      }
      return sum;
    }
    const bool backward = name == kSnakeGrad.name;
    const auto [x, a] = gain(backward ? 1 : 0, i);
    const double sine = std::sin(a * x);
    return backward ? call.inputs[0].at(i) * (1 + 0.75 * std::sin(2 * a * x))
                    : x + 0.75 * sine * sine / a;
  });
  check_op(Op::normalize, [](const Call& call, int64_t i, const Index& at) {
    return call.inputs[0].at(i) * call.inputs[1].at(at[3]) + call.inputs[2].at(at[3]);
  });
}

TEST_CASE("choosing, adding up and ordering along an axis are their definitions") {
  check_op(Op::select, [](const Call& call, int64_t, Index at) {
    const int axis = attrs_of<AxisAttrs>(call).axis;
    at[axis] = static_cast<int>(call.inputs[1].at(at[axis]));
    return call.inputs[0].at(flat(call.inputs[0].shape(), at));
  });
  check_op(Op::scatter_add, [](const Call& call, int64_t, Index at) {
    const int axis = attrs_of<AxisAttrs>(call).axis, place = at[axis];
    double sum = 0;
    for (int k = 0; k < call.inputs[1].size(); ++k) {
      at[axis] = k;
      if (call.inputs[1].at(k) == place) sum += call.inputs[0].at(flat(call.inputs[0].shape(), at));
    }
    return sum;
  });
  const auto row_of = [](const Value& ids, int n, int k, int rows) {
    const int id = static_cast<int>(ids.at(flat(ids.shape(), {n, k})));
    return id < 0 ? id + rows : id;
  };
  check_op(Op::take_along, [&](const Call& call, int64_t, const Index& at) {
    const Value& x = call.inputs[0];
    const int row = row_of(call.inputs[1], at[0], at[1], x.shape()[1]);
    return x.at(flat(x.shape(), {at[0], row, at[2]}));
  });
  check_op(Op::add_along, [&](const Call& call, int64_t, const Index& at) {
    double sum = 0;
    for (int k = 0; k < call.inputs[1].shape()[1]; ++k)
      if (row_of(call.inputs[1], at[0], k, call.outputs[0].shape()[1]) == at[1])
        sum += call.inputs[0].at(flat(call.inputs[0].shape(), {at[0], k, at[2]}));
    return sum;
  });
  check_op(Op::cumsum, [](const Call& call, int64_t, Index at) {
    const auto& a = attrs_of<CumsumAttrs>(call);
    const int place = at[a.axis];
    double sum = 0;
    for (int i = 0; i < call.inputs[0].shape()[a.axis]; ++i) {
      at[a.axis] = i;
      const bool before = a.reverse ? i > place : i < place;
      if (before || (i == place && !a.exclusive))
        sum += call.inputs[0].at(flat(call.inputs[0].shape(), at));
    }
    return sum;
  });
  // Element k of the order: as many are larger, or equal and before it.
  for (size_t output : {0u, 1u})
    check_op(
        Op::top_k,
        [output](const Call& call, int64_t, Index at) {
          const Value& x = call.inputs[0];
          const int last = x.shape().rank - 1, wanted = at[last], size = x.shape()[last];
          const auto value = [&](int i) {
            Index place = at;
            place[last] = i;
            return x.at(flat(x.shape(), place));
          };
          for (int i = 0; i < size; ++i) {
            int earlier = 0;
            for (int j = 0; j < size; ++j)
              earlier += value(j) > value(i) || (value(j) == value(i) && j < i);
            if (earlier == wanted) return output == 0 ? value(i) : i;
          }
          return -1.0;
        },
        output);
}

TEST_CASE("a row that is not there is NaN, or left out; NaN is the largest") {
  const Value ids = Value::ints({2, 2}, {3, -1, -4, 2});
  const Value taken = run1(Op::take_along, nullptr, {Value::random({2, 3, 2}, 1), ids},
                           Value(DType::f64, {2, 2, 2}));
  for (const int64_t row : {0, 1, 2, 3}) CHECK(std::isnan(taken.at(2 * row)) == (row % 2 == 0));
  const double nan = std::nan("");
  Call call{Op::top_k, nullptr, {Value::reals({4}, {1, nan, 7, nan})}, {}};
  call.outputs = {Value(DType::f64, {3}), Value(DType::i32, {3})};
  const std::vector<Value> top = run(call);
  CHECK((std::isnan(top[0].at(0)) && std::isnan(top[0].at(1)) && top[0].at(2) == 7));
  CHECK((top[1].at(0) == 1 && top[1].at(1) == 3 && top[1].at(2) == 2));
}

}  // namespace attune::test
