#include "tests/kernels/samples.h"

#include <algorithm>
#include <array>

#include "tests/support/custom_operators.h"

namespace attune::test {

Conv2dAttrs ConvCase::attrs() const {
  Conv2dAttrs a;
  a.stride_h = stride_h, a.stride_w = stride_w;
  a.pad_top = top, a.pad_left = left, a.pad_bottom = bottom, a.pad_right = right;
  a.dilation_h = dilation_h, a.dilation_w = dilation_w;
  a.groups = groups;
  a.input_h = h, a.input_w = w, a.kernel_h = kh, a.kernel_w = kw;
  return a;
}

Pool2dAttrs ConvCase::pool_attrs(bool count_padding) const {
  Pool2dAttrs a;
  a.kernel_h = kh, a.kernel_w = kw;
  a.stride_h = stride_h, a.stride_w = stride_w;
  a.pad_top = top, a.pad_left = left, a.pad_bottom = bottom, a.pad_right = right;
  a.dilation_h = dilation_h, a.dilation_w = dilation_w;
  a.input_h = h, a.input_w = w;
  a.count_padding = count_padding;
  return a;
}

namespace {

void add_row_updates(std::vector<Sample>& all);

Value real(Shape shape) { return Value(DType::f64, shape); }
Value mask(Shape shape) { return Value(DType::mask, shape); }
Value ints(Shape shape) { return Value(DType::i32, shape); }

Value random_mask(Shape shape, int seed) {
  const Value r = Value::random(shape, seed);
  Value m = mask(shape);
  for (int64_t i = 0; i < m.size(); ++i) m.set(i, r.at(i) > 0);
  return m;
}

Value labels(int n, int classes) {
  Value v = ints({n});
  for (int i = 0; i < n; ++i) v.set(i, i * 7 % classes);
  return v;
}

void add_windows(std::vector<Sample>& all, const ConvCase& c) {
  const Value x = Value::random(c.x(), 1);
  Conv2dAttrs attrs = c.attrs(), clamped = attrs;
  clamped.clamp_min = -0.25, clamped.clamp_max = 0.5;

  const Value w = Value::random(c.weight(), 2), bias = Value::random({c.o}, 3);
  const Value dy = Value::random(c.y(), 4);
  all.push_back(make_sample(c.name, Op::conv2d, attrs, {x, w}, {real(c.y())}));
  all.push_back(make_sample(c.name, Op::conv2d, clamped, {x, w, bias}, {real(c.y()), mask(c.y())}));
  all.push_back(make_sample(c.name, Op::conv2d_grad_input, attrs, {dy, w}, {real(c.x())}));
  all.push_back(make_sample(c.name, Op::conv2d_transpose, attrs, {dy, w}, {real(c.x())}));
  const Value masked = random_mask(c.x(), 8);
  const Value sums = real({1, 1, 1, c.c});
  all.push_back(make_sample(std::string(c.name) + " masked", Op::conv2d_grad_input, attrs,
                            {dy, w, masked}, {real(c.x())}));
  all.push_back(make_sample(std::string(c.name) + " masked, summed", Op::conv2d_grad_input, attrs,
                            {dy, w, masked}, {real(c.x()), sums}));
  all.push_back(make_sample(c.name, Op::conv2d_grad_weight, attrs, {x, dy}, {real(c.weight())}));

  attrs.groups = clamped.groups = c.c;
  const Shape dws = c.depthwise_weight(), dys = c.depthwise_y();
  const Value dww = Value::random(dws, 5), dwb = Value::random({c.c}, 6);
  const Value dwdy = Value::random(dys, 7);
  all.push_back(make_sample(c.name, Op::depthwise_conv2d, attrs, {x, dww}, {real(dys)}));
  all.push_back(
      make_sample(c.name, Op::depthwise_conv2d, clamped, {x, dww, dwb}, {real(dys), mask(dys)}));
  all.push_back(
      make_sample(c.name, Op::depthwise_conv2d_grad_input, attrs, {dwdy, dww}, {real(c.x())}));
  all.push_back(make_sample(std::string(c.name) + " masked", Op::depthwise_conv2d_grad_input, attrs,
                            {dwdy, dww, masked}, {real(c.x())}));
  all.push_back(make_sample(std::string(c.name) + " masked, summed",
                            Op::depthwise_conv2d_grad_input, attrs, {dwdy, dww, masked},
                            {real(c.x()), sums}));
  all.push_back(
      make_sample(c.name, Op::depthwise_conv2d_grad_weight, attrs, {x, dwdy}, {real(dws)}));

  const Pool2dAttrs pool = c.pool_attrs(false), pool_all = c.pool_attrs(true);
  const Sample max = make_sample(c.name, Op::max_pool2d, pool, {x}, {real(dys), ints(dys)});
  const Value argmax = run(max.call)[1];
  all.push_back(max);
  all.push_back(make_sample(c.name, Op::max_pool2d_grad, pool, {dwdy, argmax}, {real(c.x())}));
  for (const Pool2dAttrs& a : {pool, pool_all}) {
    all.push_back(make_sample(c.name, Op::avg_pool2d, a, {x}, {real(dys)}));
    all.push_back(make_sample(c.name, Op::avg_pool2d_grad, a, {dwdy}, {real(c.x())}));
  }
}

void add_custom(std::vector<Sample>& all) {
  add_test_operators();
  for (const Shape& s : {Shape{1}, Shape{3, 7}, Shape{4, 2, 6}, Shape{5, 3333}}) {
    const Value x = Value::random(s, 1, -3, 3), dy = Value::random(s, 2);
    const Value a = Value::random({s.last()}, 3, 0.2, 2);
    const auto add = [&](const CustomOperator& op, std::vector<Value> inputs, const Shape& y) {
      all.push_back(make_sample(op.name, Op::custom, custom_attrs(op.name, {0.75}),
                                std::move(inputs), {real(y)}));
    };
    add(kSnake, {x, a}, s);
    add(kSnakeGrad, {dy, x, a}, s);
    add(kSnakeGradA, {dy, x, a}, a.shape());
  }
}

void add_products(std::vector<Sample>& all) {
  LinearAttrs clamped;
  clamped.clamp_min = 0;
  for (auto [n, i, o] : {std::array{1, 1, 1}, {3, 7, 5}, {2, 130, 33}, {70, 65, 17}}) {
    const Value x = Value::random({n, i}, 1), w = Value::random({o, i}, 2);
    all.push_back(make_sample("", Op::linear, LinearAttrs{}, {x, w}, {real({n, o})}));
    all.push_back(make_sample("", Op::linear, clamped, {x, w, Value::random({o}, 3)},
                              {real({n, o}), mask({n, o})}));
    for (int t = 0; t < 4; ++t) {
      MatmulAttrs a;
      a.transpose_a = t & 1, a.transpose_b = t & 2;
      all.push_back(make_sample("", Op::matmul, a,
                                {Value::random(t & 1 ? Shape{3, i, n} : Shape{3, n, i}, 4),
                                 Value::random(t & 2 ? Shape{3, o, i} : Shape{3, i, o}, 5)},
                                {real({3, n, o})}));
    }
  }
}

void add_elementwise(std::vector<Sample>& all) {
  for (const Shape& s : {Shape{}, Shape{1}, Shape{3, 7}, Shape{2, 1, 5, 13}, Shape{5, 3333}}) {
    const std::string name = shape_text(s);
    const Value x = Value::random(s, 1, -5, 5), dy = Value::random(s, 2);
    const Value unit = Value::random(s, 3, 0.01, 0.99);
    for (Op op : {Op::add, Op::sub, Op::mul, Op::div})
      all.push_back(make_sample(name, op, NoAttrs{}, {x, unit}, {real(s)}));
    for (Op op : {Op::hard_swish, Op::sigmoid, Op::tanh, Op::softplus, Op::softmax, Op::log_softmax,
                  Op::reshape})
      all.push_back(make_sample(name, op, NoAttrs{}, {x}, {real(s)}));
    all.push_back(make_sample(name, Op::sqrt, NoAttrs{}, {unit}, {real(s)}));
    all.push_back(make_sample(name, Op::scale, ScaleAttrs{1.5, -0.25}, {x}, {real(s)}));
    all.push_back(make_sample(name, Op::clamp, ClampAttrs{0, 6}, {x}, {real(s), mask(s)}));
    all.push_back(make_sample(name, Op::clamp, ClampAttrs{0, 6}, {x}, {real(s)}));
    all.push_back(make_sample(name, Op::clamp_mask, ClampAttrs{-1, 3}, {x}, {mask(s)}));
    all.push_back(
        make_sample(name, Op::hard_sigmoid, HardSigmoidAttrs{0.25, 0.5}, {x}, {real(s), mask(s)}));
    all.push_back(make_sample(name, Op::mask_grad, NoAttrs{}, {dy, random_mask(s, 4)}, {real(s)}));
    Shape sum = s;
    for (int i = 0; i + 1 < s.rank; ++i) sum[i] = 1;
    all.push_back(make_sample(name + " summed", Op::mask_grad, NoAttrs{}, {dy, random_mask(s, 5)},
                              {real(s), real(sum)}));
    all.push_back(make_sample(name, Op::hard_swish_grad, NoAttrs{}, {dy, x}, {real(s)}));
    for (Op op : {Op::sigmoid_grad, Op::tanh_grad, Op::softmax_grad})
      all.push_back(make_sample(name, op, NoAttrs{}, {dy, unit}, {real(s)}));
  }
  const Shape wide[][3] = {
      {{4, 3, 5}, {5}, {4, 3, 5}},
      {{4, 1, 5}, {4, 3, 1}, {4, 3, 5}},
      {{}, {2, 3}, {2, 3}},
      {{2, 3}, {1, 1}, {2, 3}},
      {{2, 7, 7, 17}, {2, 1, 1, 17}, {2, 7, 7, 17}},
      {{2, 7, 7, 1}, {2, 7, 7, 17}, {2, 7, 7, 17}},
      {{3, 1, 2, 1, 2, 3}, {3, 2, 1, 2, 1, 3}, {3, 2, 2, 2, 2, 3}},
      {{20, 31, 33}, {31, 1}, {20, 31, 33}},
  };
  for (const auto& [a, b, y] : wide)
    for (Op op : {Op::add, Op::sub, Op::mul, Op::div})
      all.push_back(make_sample(shape_text(a) + shape_text(b), op, NoAttrs{},
                                {Value::random(a, 1), Value::random(b, 2, 0.5, 2)}, {real(y)}));
}

// Every third element is a whole number: what is compared, chosen and rounded has ties.
Value with_ties(Shape shape, int seed) {
  Value v = Value::random(shape, seed, -4, 4);
  for (int64_t i = 0; i < v.size(); i += 3) v.set(i, static_cast<double>(i % 7 - 3));
  return v;
}

void add_elementary(std::vector<Sample>& all) {
  for (const Shape& s : {Shape{}, Shape{1}, Shape{3, 7}, Shape{2, 1, 5, 13}, Shape{5, 3333}}) {
    const std::string name = shape_text(s);
    const Value x = Value::random(s, 1, -5, 5), above = Value::random(s, 2, 0.1, 5);
    for (Op op : {Op::exp, Op::erf, Op::abs, Op::sin, Op::cos})
      all.push_back(make_sample(name, op, NoAttrs{}, {x}, {real(s)}));
    all.push_back(make_sample(name, Op::log, NoAttrs{}, {above}, {real(s)}));
    const Value ties = with_ties(s, 3), others = with_ties(s, 4);
    for (Op op : {Op::floor, Op::round, Op::trunc, Op::sign})
      all.push_back(make_sample(name, op, NoAttrs{}, {ties}, {real(s)}));
    all.push_back(make_sample(name, Op::to_places, NoAttrs{}, {ties}, {ints(s)}));
    Value whole = ints(s);
    for (int64_t i = 0; i < whole.size(); ++i) whole.set(i, static_cast<double>(i % 9 - 4));
    all.push_back(make_sample(name, Op::to_real, NoAttrs{}, {whole}, {real(s)}));
    for (Op op : {Op::minimum, Op::maximum, Op::equal, Op::less, Op::less_or_equal})
      all.push_back(make_sample(name, op, NoAttrs{}, {ties, others}, {real(s)}));
    all.push_back(make_sample(name, Op::pow, NoAttrs{}, {above, others}, {real(s)}));
    Value condition = real(s);
    for (int64_t i = 0; i < condition.size(); ++i) condition.set(i, i % 5 % 2 * (i % 3 + 1));
    all.push_back(make_sample(name, Op::where, NoAttrs{}, {condition, x, above}, {real(s)}));
    for (const bool normal : {false, true})
      all.push_back(make_sample(name, Op::random, RandomAttrs{.seed = 5, .normal = normal},
                                {Value::ints({1}, {3})}, {real(s)}));
    if (s.rank == 0) continue;
    Shape reduced = s;
    reduced[s.rank - 1] = 1;
    all.push_back(make_sample(name, Op::reduce_max, NoAttrs{}, {ties}, {real(reduced)}));
    if (s.last() > 100) continue;  // the product would be out of range
    const Value dy = Value::random(reduced, 5);
    all.push_back(make_sample(name, Op::reduce_prod, NoAttrs{}, {ties}, {real(reduced)}));
    all.push_back(make_sample(name, Op::reduce_prod_grad, NoAttrs{}, {dy, ties}, {real(s)}));
  }
  const Shape wide[][4] = {
      {{}, {2, 3}, {3}, {2, 3}},
      {{2, 3}, {}, {}, {2, 3}},
      {{4, 1, 5}, {3, 1}, {4, 3, 5}, {4, 3, 5}},
      {{2, 1, 7, 17}, {2, 7, 7, 1}, {17}, {2, 7, 7, 17}},
      {{31, 1}, {20, 31, 33}, {1}, {20, 31, 33}},
  };
  for (const auto& [condition, a, b, y] : wide) {
    const std::string name = shape_text(condition) + shape_text(a) + shape_text(b);
    Value chosen = real(condition);
    for (int64_t i = 0; i < chosen.size(); ++i) chosen.set(i, i % 3 == 0);
    all.push_back(make_sample(name, Op::where, NoAttrs{},
                              {chosen, Value::random(a, 1), Value::random(b, 2)}, {real(y)}));
    for (Op op : {Op::minimum, Op::maximum, Op::equal, Op::less, Op::less_or_equal})
      all.push_back(
          make_sample(name, op, NoAttrs{}, {with_ties(condition, 1), with_ties(y, 2)}, {real(y)}));
    all.push_back(make_sample(name, Op::pow, NoAttrs{},
                              {Value::random(condition, 1, 0.1, 2), with_ties(y, 2)}, {real(y)}));
  }
}

void add_batch_norm(std::vector<Sample>& all) {
  for (const Shape& s : {Shape{1, 1}, Shape{2, 3, 5, 7}, Shape{600, 67}}) {
    const Shape c{s.last()};
    const Value x = Value::random(s, 1), dy = Value::random(s, 2), gamma = Value::random(c, 3);
    const Value beta = Value::random(c, 4), mean = Value::random(c, 5);
    const Value var = Value::random(c, 6, 0.1, 2);
    const BatchNormAttrs a{1e-3};
    all.push_back(make_sample("", Op::batch_norm, a, {x, gamma, beta, mean, var}, {real(s)}));
    all.push_back(make_sample("", Op::batch_norm_grad_input, a, {dy, gamma, var}, {real(s)}));
    all.push_back(make_sample("", Op::batch_norm_grad_gamma, a, {x, dy, mean, var}, {real(c)}));
  }
}

// The last of several examples has no weight.
void add_batch_norm_train(std::vector<Sample>& all) {
  for (const Shape& s :
       {Shape{1, 1}, Shape{3, 3, 5, 7}, Shape{5, 2, 19}, Shape{4, 33}, Shape{600, 67}}) {
    const Shape c{s.last()};
    const Value x = Value::random(s, 1), gamma = Value::random(c, 3), beta = Value::random(c, 4);
    const Value mean = Value::random(c, 5), var = Value::random(c, 6, 0.1, 2);
    Value weights = Value::random({s[0]}, 7, 0.5, 2);
    Value dy = Value::random(s, 2);
    if (s[0] > 1) {
      weights.set(s[0] - 1, 0);
      const int64_t each = s.elements() / s[0];
      for (int64_t i = s.elements() - each; i < s.elements(); ++i) dy.set(i, 0);
    }
    const BatchNormAttrs a{1e-3};
    Sample forward = make_sample("", Op::batch_norm_train, a, {x, gamma, beta, mean, var, weights},
                                 {real(s), real(c), real(c)});
    const std::vector<Value> made = run(forward.call);
    all.push_back(std::move(forward));
    const Value dgamma = run1(Op::batch_norm_grad_gamma, &a, {x, dy, made[1], made[2]}, real(c));
    const Value dbeta = Value::random(c, 8);
    all.push_back(make_sample("", Op::batch_norm_train_grad_input, a,
                              {dy, x, gamma, made[1], made[2], dgamma, dbeta, weights}, {real(s)}));
    const RunningStatisticsAttrs running{0.75, static_cast<int32_t>(s.product(1, s.rank - 1))};
    Value step = ints({1});
    step.set(0, 3);
    for (const Value& number : {Value(), step})
      all.push_back(make_sample("", Op::running_statistics, running,
                                {mean, var, made[1], made[2], weights, number},
                                {real(c), real(c)}));
  }
}

void add_movement(std::vector<Sample>& all) {
  const Shape s{2, 3, 4, 5, 2, 3};
  for (int axes : {0, 1, 2, 6, 0x3f, 0x1f, 0x20, 0x15, 0x2a, 0x3e}) {
    Shape reduced = s;
    for (int i = 0; i < 6; ++i)
      if (axes >> i & 1) reduced[i] = 1;
    const std::string name = "axes " + std::to_string(axes);
    for (bool mean : {false, true}) {
      all.push_back(make_sample(name, Op::reduce, ReduceAttrs{axes, mean}, {Value::random(s, 1)},
                                {real(reduced)}));
      all.push_back(make_sample(name, Op::broadcast_to, BroadcastAttrs{mean},
                                {Value::random(reduced, 1)}, {real(s)}));
    }
  }
  all.push_back(make_sample("last axis", Op::reduce, ReduceAttrs{6, true},
                            {Value::random({3, 9, 8, 150}, 1)}, {real({3, 1, 1, 150})}));
  all.push_back(make_sample("missing axes", Op::broadcast_to, BroadcastAttrs{},
                            {Value::random({5}, 1)}, {real({4, 3, 5})}));
  TransposeAttrs t;
  const int perm[] = {4, 0, 5, 2, 1, 3};
  Shape turned = s;
  for (int i = 0; i < 6; ++i) t.perm[i] = perm[i], turned[i] = s[perm[i]];
  all.push_back(make_sample("", Op::transpose, t, {Value::random(s, 1)}, {real(turned)}));
  TransposeAttrs matrix;
  matrix.perm[0] = 1, matrix.perm[1] = 0;
  all.push_back(
      make_sample("", Op::transpose, matrix, {Value::random({123, 91}, 1)}, {real({91, 123})}));
  for (int channels = 1; channels <= 5; ++channels) {
    const Shape planes{2, channels, 67, 65}, pixels{2, 67, 65, channels};
    TransposeAttrs last, first;
    const int to_last[] = {0, 2, 3, 1}, to_first[] = {0, 3, 1, 2};
    std::copy_n(to_last, 4, last.perm), std::copy_n(to_first, 4, first.perm);
    all.push_back(make_sample("channels last", Op::transpose, last, {Value::random(planes, 1)},
                              {real(pixels)}));
    all.push_back(make_sample("channels first", Op::transpose, first, {Value::random(pixels, 1)},
                              {real(planes)}));
  }
  for (int axis = 0; axis < 3; ++axis) {
    Shape a{50, 40, 50}, b = a, c = a, y = a;
    b[axis] = 1, c[axis] = 5, y[axis] = a[axis] + 6;
    const AxisAttrs attrs{axis};
    all.push_back(make_sample("", Op::concat, attrs,
                              {Value::random(a, 1), Value::random(b, 2), Value::random(c, 3)},
                              {real(y)}));
    all.push_back(
        make_sample("", Op::slice, SliceAttrs{axis, 1}, {Value::random(a, 1)}, {real(c)}));
    all.push_back(make_sample("", Op::gather, attrs,
                              {Value::random(a, 1), Value::ints({5}, {5, 0, 3, 2, 4})}, {real(c)}));
    // One part among the slices of the other: apart, together, in front, behind.
    for (const std::vector<int>& places :
         {std::vector<int>{0, 3, 4}, {5}, {0, 1, 2, 3, 4}, {1, 2, 4, a[axis] - 1}}) {
      Shape part = a, rest = a;
      part[axis] = static_cast<int32_t>(places.size());
      rest[axis] = a[axis] - part[axis];
      all.push_back(make_sample(
          "", Op::interleave, attrs,
          {Value::random(part, 4), Value::random(rest, 5), Value::ints({part[axis]}, places)},
          {real(a)}));
    }
  }
  for (const auto& [ids, y] : {std::pair{Shape{2, 4}, Shape{2, 4, 5}}, {Shape{8}, Shape{8, 5}}})
    all.push_back(make_sample(
        "", Op::take, NoAttrs{},
        {Value::random({6, 5}, 1), Value::ints(ids, {5, 0, 3, 3, -1, 2, -6, 5})}, {real(y)}));
  all.push_back(make_sample("one row", Op::take, NoAttrs{},
                            {Value::random({1, 1}, 1), Value::ints({1}, {0})}, {real({1, 1})}));
  add_row_updates(all);
  for (const Shape& shape :
       {Shape{2, 60, 30, 3}, Shape{1, 90, 61, 3}, Shape{1, 141, 117, 1}, Shape{1, 50, 7, 17}}) {
    Value image(DType::u8, shape);
    for (int64_t i = 0; i < image.size(); ++i) image.set(i, i * 37 % 256);
    const Shape channels{shape.last()};
    all.push_back(make_sample("", Op::normalize, NoAttrs{},
                              {image, Value::random(channels, 1), Value::random(channels, 2)},
                              {real(shape)}));
  }
}

// One example, more than a block of them; one direction, two; with all that is optional, and
// without.
void add_recurrent(std::vector<Sample>& all) {
  struct Case {
    int n, t, d, h;
    bool reverse, options;
  };
  for (const Case& c : {Case{1, 1, 1, 1, false, false}, Case{3, 5, 1, 7, false, true},
                        Case{2, 4, 1, 16, true, false}, Case{11, 3, 2, 19, false, true}}) {
    const Shape states{c.n, c.d, c.h}, y{c.n, c.t, c.d, c.h};
    const auto gated = [&](int gates) { return Shape{c.n, c.t, c.d, gates * c.h}; };
    const auto weight = [&](int gates) { return Value::random({c.d, gates * c.h, c.h}, 1); };
    const auto bias = [&](int gates) {
      return c.options ? Value::random({c.d, 2, gates * c.h}, 2) : Value();
    };
    const auto state = [&](int seed) { return c.options ? Value::random(states, seed) : Value(); };
    Value lengths;
    if (c.options) {  // none of the steps, more than there are, and some
      lengths = ints({c.n});
      for (int i = 0; i < c.n; ++i) lengths.set(i, i == 0 ? 2 : i == 1 ? c.t + 1 : i % c.t);
    }
    const std::string name = shape_text(y) + (c.reverse ? " reverse" : "");
    const auto unit = [&](Shape s, int seed) { return Value::random(s, seed, 0.01, 0.99); };
    const Value dy = Value::random(y, 3), previous = Value::random(y, 4);

    const LstmAttrs lstm{c.reverse};
    all.push_back(make_sample(
        name, Op::lstm, lstm,
        {Value::random(gated(4), 5, -2, 2), weight(4), bias(4), state(6), state(7), lengths},
        {real(y), real(states), real(states), real(y), real(gated(4))}));
    all.push_back(make_sample(name, Op::lstm_grad, lstm,
                              {unit(gated(4), 8), weight(4), Value::random(y, 9), state(7), lengths,
                               dy, state(10), state(11)},
                              {real(gated(4)), real(states), real(states)}));
    for (bool reset_after : {false, true}) {
      const GruAttrs gru{c.reverse, reset_after};
      all.push_back(
          make_sample(name, Op::gru, gru,
                      {Value::random(gated(3), 12, -2, 2), weight(3), bias(3), state(6), lengths},
                      {real(y), real(states), real(gated(3)), real(y)}));
      all.push_back(make_sample(
          name, Op::gru_grad, gru,
          {unit(gated(3), 13), weight(3), Value::random(y, 14), previous, lengths, dy, state(10)},
          {real(gated(3)), real(gated(3)), real(states)}));
    }
    for (bool relu : {false, true}) {
      const RnnAttrs rnn{c.reverse, relu};
      all.push_back(make_sample(name, Op::rnn, rnn,
                                {Value::random(y, 15), weight(1), bias(1), state(6), lengths},
                                {real(y), real(states)}));
      all.push_back(make_sample(name, Op::rnn_grad, rnn,
                                {Value::random(y, 16), weight(1), lengths, dy, state(10)},
                                {real(y), real(states)}));
    }
    all.push_back(make_sample(name, Op::previous_state, DirectionAttrs{c.reverse},
                              {Value::random(y, 17), state(6), lengths}, {real(y)}));
  }
}

void add_indexing(std::vector<Sample>& all) {
  for (int axis = 0; axis < 3; ++axis) {
    Shape wide{41, 37, 43}, narrow = wide;
    narrow[axis] = 7;
    const AxisAttrs along{axis};
    // In any order, and some of them twice.
    const Value indices = Value::ints({7}, {5, 0, 30, 30, 4, 36, 0});
    all.push_back(
        make_sample("", Op::select, along, {Value::random(wide, 1), indices}, {real(narrow)}));
    all.push_back(
        make_sample("", Op::scatter_add, along, {Value::random(narrow, 2), indices}, {real(wide)}));
    for (int way = 0; way < 4; ++way)
      all.push_back(make_sample("way " + std::to_string(way), Op::cumsum,
                                CumsumAttrs{axis, (way & 1) != 0, (way & 2) != 0},
                                {Value::random(wide, 3)}, {real(wide)}));
  }
  const Value one = Value::ints({1}, {0});
  all.push_back(
      make_sample("one", Op::select, AxisAttrs{0}, {Value::random({1}, 1), one}, {real({1})}));
  for (const Shape& rows : {Shape{3, 6, 5}, Shape{1, 1, 1}, Shape{2, 9, 700}}) {
    const int size = rows[1], count = 4;
    Value ids = ints({rows[0], count});
    for (int64_t i = 0; i < ids.size(); ++i)
      ids.set(i, static_cast<double>(i * 5 % (2 * size) - size));
    const Shape taken{rows[0], count, rows[2]};
    const std::string name = shape_text(rows);
    all.push_back(
        make_sample(name, Op::take_along, NoAttrs{}, {Value::random(rows, 1), ids}, {real(taken)}));
    all.push_back(
        make_sample(name, Op::add_along, NoAttrs{}, {Value::random(taken, 2), ids}, {real(rows)}));
  }
  const Value none = Value::ints({2, 3}, {7, 1, -8, 0, 7, -7});  // some are outside
  all.push_back(make_sample("no such row", Op::add_along, NoAttrs{},
                            {Value::random({2, 3, 2}, 1), none}, {real({2, 7, 2})}));
  for (const auto& [shape, count] :
       {std::pair{Shape{3, 4, 9}, 3}, {Shape{5}, 5}, {Shape{1}, 1}, {Shape{70, 61}, 1}}) {
    Shape some = shape;
    some[shape.rank - 1] = count;
    Value x = Value::random(shape, 4);
    for (int64_t i = 0; i + 2 < x.size(); i += 3) x.set(i + 2, x.at(i));  // equal ones
    all.push_back(make_sample("", Op::top_k, NoAttrs{}, {x}, {real(some), ints(some)}));
    all.push_back(make_sample("values", Op::top_k, NoAttrs{}, {x}, {real(some)}));
  }
}

void add_losses(std::vector<Sample>& all) {
  for (auto [n, c] : {std::array{1, 1}, {5, 3}, {9, 700}}) {
    const Value logits = Value::random({n, c}, 1, -4, 4), w = Value::random({n}, 2, 0, 2);
    const Value target = Value::random({n, c}, 3);
    const Value p = run1(Op::softmax, nullptr, {logits}, real({n, c}));
    const Value l = labels(n, c);
    all.push_back(make_sample("", Op::softmax_cross_entropy, NoAttrs{}, {logits, l, w},
                              {real({1}), real({n, c})}));
    all.push_back(
        make_sample("", Op::softmax_cross_entropy, NoAttrs{}, {logits, l, w}, {real({1})}));
    all.push_back(
        make_sample("", Op::softmax_cross_entropy_grad, NoAttrs{}, {p, l, w}, {real({n, c})}));
    // Errors of a few sizes, which keep off the places where a loss has no second derivative.
    Value near = logits;
    for (int64_t i = 0; i < near.size(); ++i)
      near.set(i, logits.at(i) + 0.31 * static_cast<double>(i % 7 - 3) + 0.1);
    const auto add = [&](Op op, Op gradient, auto attrs) {
      const Value& to = op == Op::mean_squared_error ? target : near;
      all.push_back(make_sample("", op, attrs, {logits, to, w}, {real({1})}));
      all.push_back(make_sample("", gradient, attrs, {logits, to, w}, {real({n, c})}));
    };
    add(Op::mean_squared_error, Op::mean_squared_error_grad, NoAttrs{});
    add(Op::mean_absolute_error, Op::mean_absolute_error_grad, NoAttrs{});
    for (double delta : {0.25, 0.6, 1.0}) add(Op::huber, Op::huber_grad, HuberAttrs{delta});
    const Value soft = Value::random({n, c}, 4, 0, 2.0 / c);  // of sums near 1
    all.push_back(make_sample("", Op::soft_cross_entropy, NoAttrs{}, {logits, soft, w},
                              {real({1}), real({n, c})}));
    all.push_back(
        make_sample("", Op::soft_cross_entropy, NoAttrs{}, {logits, soft, w}, {real({1})}));
    all.push_back(
        make_sample("", Op::soft_cross_entropy_grad, NoAttrs{}, {p, soft, w}, {real({n, c})}));
    all.push_back(make_sample("", Op::count_correct, NoAttrs{}, {logits, l, w}, {real({1})}));
    all.push_back(make_sample("", Op::count_agreeing, NoAttrs{}, {logits, soft, w}, {real({1})}));
  }
}

// Of slices along an axis, or of all of w where it is negative.
void add_updates(std::vector<Sample>& all, const Shape& s, int axis,
                 const std::vector<int>& chosen) {
  const Value lr = Value::reals({1}, {0.125}), step = Value::ints({1}, {3});
  Shape narrow = s;
  Value indices;
  if (axis >= 0) {
    narrow[axis] = static_cast<int32_t>(chosen.size());
    indices = Value::ints({narrow[axis]}, chosen);
  }
  const Value w = Value::random(s, 1), dw = Value::random(narrow, 2);
  const Value m = Value::random(narrow, 3), v = Value::random(narrow, 4, 0, 1);
  const int a = axis < 0 ? 0 : axis;
  all.push_back(make_sample("", Op::sgd, SgdAttrs{0.01, a}, {w, dw, lr, indices}, {real(s)}));
  for (bool flag : {false, true}) {
    all.push_back(make_sample("", Op::momentum, MomentumAttrs{0.9, 0.01, flag, a},
                              {w, dw, lr, indices, m}, {real(s), real(narrow)}));
    all.push_back(make_sample("", Op::adam, AdamAttrs{0.9, 0.999, 1e-8, 0.01, flag, a},
                              {w, dw, lr, indices, m, v, step},
                              {real(s), real(narrow), real(narrow)}));
  }
}

// Equal rows, one counted from the end, and one that is not there; wider than a part of a row.
void add_row_updates(std::vector<Sample>& all) {
  const Value lr = Value::reals({1}, {0.125}), step = Value::ints({1}, {3});
  for (const int width : {1, 5, 70})
    for (const Shape& of_ids : {Shape{2, 4}, Shape{8}}) {
      const Shape table{6, width};
      Shape rows = of_ids;
      rows[rows.rank++] = width;
      const Value ids = Value::ints(of_ids, {5, 0, 3, 3, -1, 2, -6, 9});
      const Value w = Value::random(table, 1), dy = Value::random(rows, 2);
      const Value m = Value::random(table, 3), v = Value::random(table, 4, 0, 1);
      all.push_back(make_sample("", Op::take_grad, NoAttrs{}, {dy, ids}, {real(table)}));
      all.push_back(
          make_sample("", Op::take_sgd, SgdAttrs{0.01, 0}, {w, dy, lr, ids}, {real(table)}));
      for (bool flag : {false, true}) {
        all.push_back(make_sample("", Op::take_momentum, MomentumAttrs{0.9, 0.01, flag, 0},
                                  {w, dy, lr, ids, m}, {real(table), real(table)}));
        all.push_back(make_sample("", Op::take_adam, AdamAttrs{0.9, 0.999, 1e-8, 0.01, flag, 0},
                                  {w, dy, lr, ids, m, v, step},
                                  {real(table), real(table), real(table)}));
      }
    }
}

}  // namespace

const std::vector<Sample>& large_samples() {
  static const std::vector<Sample> all = [] {
    std::vector<Sample> list;
    add_windows(list, {"pointwise, several parts of pixels", 1, 45, 37, 16, 24, 1, 1});
    add_windows(list, {"several parts of pixels", 1, 45, 37, 4, 43, 3, 3, 1, 1, 1, 1, 1, 1});
    add_windows(list, {"pointwise, parts of several images", 5, 19, 23, 40, 56, 1, 1});
    add_windows(list, {"an image of three channels", 2, 61, 46, 3, 34, 3, 3, 2, 2, 1, 1, 0, 1});
    add_windows(list, {"an image of one channel", 1, 37, 41, 1, 8, 5, 5, 1, 1, 2, 2, 2, 2});
    add_windows(list, {"taps of a line apart", 1, 31, 30, 2, 9, 3, 3, 1, 1, 2, 2, 2, 2, 1, 2});
    add_windows(list, {"lines apart", 1, 31, 30, 3, 9, 3, 3, 1, 1, 2, 1, 2, 1, 2, 1});
    add_windows(list, {"a panel of patches and more", 1, 33, 29, 4, 20, 3, 3, 1, 2, 1, 0, 1, 1});
    add_windows(list, {"many lines", 1, 62, 61, 12, 8, 3, 3, 1, 1, 1, 1, 1, 1});
    add_windows(list, {"many lines, stride 2", 2, 89, 85, 12, 8, 3, 3, 2, 2, 1, 1});
    const Shape s{4, 130, 131};
    const Value x = Value::random(s, 1), dy = Value::random(s, 2);
    list.push_back(make_sample("large", Op::add, NoAttrs{}, {x, dy}, {real(s)}));
    list.push_back(make_sample("large", Op::clamp, ClampAttrs{0, 0.5}, {x}, {real(s), mask(s)}));
    list.push_back(make_sample("large", Op::clamp_mask, ClampAttrs{0, 0.5}, {x}, {mask(s)}));
    list.push_back(
        make_sample("large", Op::mask_grad, NoAttrs{}, {dy, random_mask(s, 3)}, {real(s)}));
    list.push_back(make_sample("large, summed", Op::mask_grad, NoAttrs{}, {dy, random_mask(s, 3)},
                               {real(s), real({1, 1, 131})}));
    list.push_back(
        make_sample("large", Op::reduce, ReduceAttrs{3, false}, {x}, {real({1, 1, 131})}));
    // The sums of the other gradient are too long for samples.
    const ConvCase wide{"few pixels, many outputs", 1, 4, 5, 100, 1000, 1, 1};
    Conv2dAttrs clamped = wide.attrs();
    clamped.clamp_min = -0.25, clamped.clamp_max = 0.5;
    list.push_back(make_sample(
        wide.name, Op::conv2d, clamped,
        {Value::random(wide.x(), 1), Value::random(wide.weight(), 2), Value::random({wide.o}, 3)},
        {real(wide.y()), mask(wide.y())}));
    for (const ConvCase& c :
         {ConvCase{"few pixels, many inputs", 1, 4, 5, 1000, 100, 1, 1},
          ConvCase{"blocks of pixels to sum", 2, 9, 13, 24, 10, 1, 1},
          ConvCase{"blocks of pixels to sum, many weights", 3, 8, 9, 160, 520, 1, 1}})
      list.push_back(make_sample(
          c.name, Op::conv2d_grad_input, c.attrs(),
          {Value::random(c.y(), 4), Value::random(c.weight(), 5), random_mask(c.x(), 6)},
          {real(c.x()), real({1, 1, 1, c.c})}));
    return list;
  }();
  return all;
}

const std::vector<Sample>& samples() {
  static const std::vector<Sample> all = [] {
    std::vector<Sample> list;
    for (const ConvCase& c : kConvCases) add_windows(list, c);
    add_products(list);
    add_custom(list);
    add_elementwise(list);
    add_elementary(list);
    add_batch_norm(list);
    add_batch_norm_train(list);
    add_movement(list);
    add_recurrent(list);
    add_indexing(list);
    add_losses(list);
    for (int axis = -1; axis < 3; ++axis) add_updates(list, {60, 60, 50}, axis, {6, 1, 2, 7});
    // Work is divided within a row of slices, and within a slice.
    add_updates(list, {61, 50, 9}, 2, {8, 0, 3, 7, 1, 4, 6});
    add_updates(list, {900, 12, 3}, 1, {11, 0, 3, 7, 1, 4, 6});
    return list;
  }();
  return all;
}

}  // namespace attune::test
