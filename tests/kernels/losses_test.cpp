#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/samples.h"

namespace attune::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value real(Shape shape) { return Value(DType::f64, shape); }

double cross_entropy(const Value& logits, const Value& labels, const Value& weights,
                     DType dtype = DType::f64) {
  RunOptions options;
  options.real = dtype;
  return run1(Op::softmax_cross_entropy, nullptr, {logits, labels, weights}, real({1}), options)
      .at(0);
}

bool all_zero(const Value& v) {
  for (int64_t i = 0; i < v.size(); ++i)
    if (v.at(i) != 0) return false;
  return true;
}

}  // namespace

// Against torch.nn.functional.cross_entropy of PyTorch 1.13 in double.
TEST_CASE("softmax_cross_entropy and its gradient are PyTorch's") {
  const Value logits = Value::reals({3, 3}, {1, 2, -1, 0.5, 0.25, 4, -3, 0, 100});
  const Value labels = Value::ints({3}, {1, 0, 2}), weights = Value::reals({3}, {1, 0.5, 2});
  const std::vector<Value> out = run(
      {Op::softmax_cross_entropy, nullptr, {logits, labels, weights}, {real({1}), real({3, 3})}});
  CHECK(out[0].at(0) == doctest::Approx(0.607192367328205).epsilon(1e-15));
  const Value dlogits =
      run1(Op::softmax_cross_entropy_grad, nullptr, {out[1], labels, weights}, real({3, 3}));
  const Value expected = Value::reals(
      {3, 3}, {0.07414184581211974, -0.08417585351478822, 0.010034007702668494,
               -0.13876314078997257, 0.003188412015808163, 0.1355747287741644, 0, 0, 0});
  CHECK(relative_difference(dlogits, expected) < 1e-15);
}

// Against torch.nn.functional.l1_loss, huber_loss and cross_entropy with probabilities for targets,
// of PyTorch 1.13 in double, each averaged over an example and then over examples by weight.
TEST_CASE("losses of numbers and of soft targets, and their gradients, are PyTorch's") {
  const Value x = Value::reals({3, 3}, {1, 2, -1, 0.5, 0.25, 4, -3, 0, 100});
  const Value t = Value::reals({3, 3}, {0.5, 2.5, -1, 3, 0.25, 4.125, -3, 0.75, 98});
  const Value soft = Value::reals({3, 3}, {0.2, 0.3, 0.5, 1, 0, 0, 0.25, 0.5, 0.5});
  const Value w = Value::reals({3}, {1, 0.5, 2});
  const auto check = [&](Op op, Op gradient, const void* attrs, const Value& target, double loss,
                         const std::vector<double>& slopes) {
    INFO(std::string(op_name(op)));
    const bool keeps = op == Op::soft_cross_entropy;
    std::vector<Value> outputs = {real({1})};
    if (keeps) outputs.push_back(real({3, 3}));
    const std::vector<Value> out = run({op, attrs, {x, target, w}, outputs});
    CHECK(out[0].at(0) == doctest::Approx(loss).epsilon(1e-15));
    const Value d = run1(gradient, attrs, {keeps ? out[1] : x, target, w}, real({3, 3}));
    CHECK(relative_difference(d, Value::reals({3, 3}, slopes)) < 1e-15);
  };
  check(Op::mean_absolute_error, Op::mean_absolute_error_grad, nullptr, t, 0.744047619047619,
        {0.09523809523809523, -0.09523809523809523, 0, -0.047619047619047616, 0,
         -0.047619047619047616, 0, -0.19047619047619047, 0.19047619047619047});
  HuberAttrs attrs;
  check(Op::huber, Op::huber_grad, &attrs, t, 0.45870535714285715,
        {0.047619047619047616, -0.047619047619047616, 0, -0.047619047619047616, 0,
         -0.005952380952380952, 0, -0.14285714285714285, 0.19047619047619047});
  attrs.delta = 0.5;
  check(Op::huber, Op::huber_grad, &attrs, t, 0.2920386904761905,
        {0.047619047619047616, -0.047619047619047616, 0, -0.023809523809523808, 0,
         -0.005952380952380952, 0, -0.09523809523809523, 0.09523809523809523});
  check(Op::soft_cross_entropy, Op::soft_cross_entropy_grad, nullptr, soft, 44.37862093875678,
        {0.016998988669262607, 0.11582414648521178, -0.13282313515447436, -0.13876314078997257,
         0.003188412015808163, 0.1355747287741644, -0.14285714285714285, -0.2857142857142857,
         0.4285714285714285});
}

TEST_CASE("log_softmax does not overflow") {
  for (DType dtype : {DType::f32, DType::f64}) {
    RunOptions options;
    options.real = dtype;
    const Value y = run1(Op::log_softmax, nullptr, {Value::reals({2, 2}, {1e4, -1e4, -3e4, -3e4})},
                         real({2, 2}), options);
    CHECK(y.at(0) == 0);
    CHECK(y.at(1) == -2e4);
    CHECK(y.at(2) == doctest::Approx(-std::log(2)));
  }
}

TEST_CASE("softmax_cross_entropy does not overflow") {
  const Value logits = Value::reals({2, 2}, {1000, -1000, -3e4, 3e4});
  const Value one = Value::reals({2}, {1, 1});
  for (DType real : {DType::f32, DType::f64}) {
    CHECK(cross_entropy(logits, Value::ints({2}, {0, 1}), one, real) == 0);
    CHECK(cross_entropy(logits, Value::ints({2}, {1, 0}), one, real) == (2000 + 6e4) / 2);
  }
}

TEST_CASE("an example of weight 0 counts for nothing, whatever it holds") {
  const Value labels = Value::ints({3}, {1, 2147483647, 0}), w = Value::reals({3}, {2, 0, 1});
  const Value logits = Value::reals({3, 2}, {1, 2, kNan, kInfinity, 3, -1});
  const Value rest = Value::reals({2, 2}, {1, 2, 3, -1});
  CHECK(cross_entropy(logits, labels, w) ==
        cross_entropy(rest, Value::ints({2}, {1, 0}), Value::reals({2}, {2, 1})));
  const Value p = run1(Op::softmax, nullptr, {logits}, real({3, 2}));
  const Value d = run1(Op::softmax_cross_entropy_grad, nullptr, {p, labels, w}, real({3, 2}));
  CHECK(d.at(0) != 0);
  CHECK(d.at(2) == 0);
  CHECK(d.at(3) == 0);

  const Value target = Value::reals({3, 2}, {0, 0, 0, kNan, 0, 0});
  const double loss = run1(Op::mean_squared_error, nullptr, {logits, target, w}, real({1})).at(0);
  CHECK(loss == (2 * (1 + 4) / 2.0 + (9 + 1) / 2.0) / 3);
  const Value g = run1(Op::mean_squared_error_grad, nullptr, {logits, target, w}, real({3, 2}));
  CHECK(relative_difference(g, Value::reals({3, 2}, {2 / 3.0, 4 / 3.0, 0, 0, 1, -1 / 3.0})) <
        1e-15);

  const HuberAttrs attrs;
  for (auto [op, gradient] : {std::pair(Op::mean_absolute_error, Op::mean_absolute_error_grad),
                              {Op::huber, Op::huber_grad},
                              {Op::soft_cross_entropy, Op::soft_cross_entropy_grad}}) {
    INFO(std::string(op_name(op)));
    CHECK(std::isfinite(run1(op, &attrs, {logits, target, w}, real({1})).at(0)));
    const Value slopes = run1(gradient, &attrs, {logits, target, w}, real({3, 2}));
    CHECK(slopes.at(2) == 0);
    CHECK(slopes.at(3) == 0);
  }
}

TEST_CASE("weights that sum to 0 give a loss of 0 and no gradient") {
  const Value labels = Value::ints({2}, {0, 1}), x = Value::random({2, 3}, 1);
  for (const Value& w : {Value::reals({2}, {0, 0}), Value::reals({2}, {1, -1})}) {
    CHECK(cross_entropy(x, labels, w) == 0);
    CHECK(all_zero(run1(Op::softmax_cross_entropy_grad, nullptr, {x, labels, w}, real({2, 3}))));
    CHECK(run1(Op::mean_squared_error, nullptr, {x, x, w}, real({1})).at(0) == 0);
    CHECK(all_zero(run1(Op::mean_squared_error_grad, nullptr, {x, Value::random({2, 3}, 2), w},
                        real({2, 3}))));
  }
}

TEST_CASE("a label that is no class makes the loss NaN and is never correct") {
  const Value x = Value::random({1, 3}, 1), one = Value::reals({1}, {1});
  for (int label : {-1, 3, 2147483647, -2147483647 - 1}) {
    const Value labels = Value::ints({1}, {label});
    CHECK(std::isnan(cross_entropy(x, labels, one)));
    CHECK(run1(Op::count_correct, nullptr, {x, labels, one}, real({1})).at(0) == 0);
    const Value d = run1(Op::softmax_cross_entropy_grad, nullptr, {x, labels, one}, real({1, 3}));
    CHECK(d.same_bits(x));
  }
}

TEST_CASE("count_agreeing compares the first largest logit with the first largest target") {
  const Value logits = Value::reals({4, 3}, {1, 3, 2, 5, 5, 1, 0, 1, 2, 2, 1, 0});
  const Value targets = Value::reals({4, 3}, {0.2, 0.6, 0.2, 0.4, 0.4, 0.2, 0.5, 0.5, 0, 0, 0, 1});
  const Value w = Value::reals({4}, {1, 2, 4, 8});
  CHECK(run1(Op::count_agreeing, nullptr, {logits, targets, w}, real({1})).at(0) == 1 + 2);
}

TEST_CASE("count_correct takes the first of the largest logits") {
  const Value logits = Value::reals(
      {6, 3}, {1, 3, 2, 5, 5, 1, 5, 5, 1, kNan, 1, 0, 0, kNan, -1, kInfinity, kInfinity, 0});
  const Value labels = Value::ints({6}, {1, 0, 1, 0, 0, 0});
  const Value w = Value::reals({6}, {1, 2, 4, 8, 16, 32});
  CHECK(run1(Op::count_correct, nullptr, {logits, labels, w}, real({1})).at(0) == 1 + 2 + 32);
}

}  // namespace attune::test
