// What loading a plan checks of a step, held against the calls that kernels are tested with.
#include "engine/format/step_check.h"

#include <doctest/doctest.h>

#include <set>

#include "kernels/signature.h"
#include "tests/kernels/samples.h"

namespace attune::test {
namespace {

struct Operands {
  std::vector<Tensor> in, out;
};

Operands operands_of(const Sample& s) {
  static char there;  // Data is not read.
  Operands made;
  for (const auto* values : {&s.call.inputs, &s.call.outputs})
    for (const Value& v : *values) {
      Tensor t;
      t.data = v.absent() ? nullptr : &there;
      t.dtype = v.dtype();
      t.shape = v.shape();
      (values == &s.call.inputs ? made.in : made.out).push_back(t);
    }
  return made;
}

const char* check(const Sample& s, const Operands& operands) {
  const NoAttrs none;
  return check_step(s.call.op, s.attrs ? s.attrs.get() : &none, operands.in, operands.out,
                    DType::f64);
}

}  // namespace

TEST_CASE("steps that kernels take are accepted") {
  for (const auto* all : {&samples(), &large_samples()})
    for (const Sample& s : *all) {
      INFO(std::string(op_name(s.call.op)), " ", s.name);
      const char* wrong = check(s, operands_of(s));
      CHECK_MESSAGE(wrong == nullptr, wrong);
    }
}

// A larger operand alone is never what the others say, but for what a slice or a gather chooses
// from, and classes that nothing else has.
TEST_CASE("a step is refused where one size, one type or one operand is another") {
  std::set<std::string> free_axes;
  for (const Sample& s : samples()) {
    INFO(std::string(op_name(s.call.op)), " ", s.name);
    const Operands good = operands_of(s);
    for (size_t k = 0; k < good.in.size() + good.out.size(); ++k) {
      Operands bad = good;
      Tensor& t = k < bad.in.size() ? bad.in[k] : bad.out[k - bad.in.size()];
      if (!t.data) continue;
      INFO("operand ", k);
      for (int axis = 0; axis < t.shape.rank; ++axis) {
        for (int change : {1, 7}) {
          t.shape[axis] += change;
          if (check(s, bad) == nullptr) {
            INFO("axis ", axis);
            free_axes.insert(op_name(s.call.op));
          }
          t.shape[axis] -= change;
        }
      }
      const DType type = t.dtype;
      for (DType other : {DType::f32, DType::i32, DType::u8, DType::mask}) {
        if (other == type) continue;
        t.dtype = other;
        CHECK(check(s, bad) != nullptr);
      }
      t.dtype = type;
      const bool any_shape = s.call.op == Op::random && k >= bad.in.size();
      if (t.shape.rank < kMaxRank && !any_shape) {
        t.shape.dims[t.shape.rank++] = 2;
        CHECK(check(s, bad) != nullptr);
        --t.shape.rank;
      }
      const int output = static_cast<int>(k) - static_cast<int>(bad.in.size());
      const bool optional = output < 0 ? input_optional(s.call.op, static_cast<int>(k))
                                       : signature(s.call.op).output(output).optional;
      t.data = nullptr;
      if (!optional) CHECK(check(s, bad) != nullptr);
      if (output < 0) continue;
      // Nor where the list ends before it.
      bad.out.resize(static_cast<size_t>(output));
      if (!optional) CHECK(check(s, bad) != nullptr);
    }
    Operands more = good;
    if (!signature(s.call.op).input(0).many) {
      while (static_cast<int>(more.in.size()) <= op_info(s.call.op).max_inputs)
        more.in.push_back(good.in[0]);
      CHECK(check(s, more) != nullptr);
    }
    more = good;
    more.out.assign(5, good.out[0]);
    CHECK(check(s, more) != nullptr);
  }
  // What is chosen from may be longer, a size of 1 is repeated, what is summed up or reduced has
  // any size, and random numbers any shape.
  const std::set<std::string> expected = {"slice",
                                          "gather",
                                          "take",
                                          "take_grad",
                                          "add",
                                          "sub",
                                          "mul",
                                          "div",
                                          "broadcast_to",
                                          "reduce",
                                          "softmax_cross_entropy",
                                          "count_correct",
                                          "running_statistics",
                                          "reduce_max",
                                          "reduce_prod",
                                          "random",
                                          "select",
                                          "scatter_add",
                                          "take_along",
                                          "add_along",
                                          "top_k"};
  for (const std::string& name : free_axes) CHECK_MESSAGE(expected.contains(name), name);
  CHECK(free_axes.size() == expected.size());
}

TEST_CASE("an update without a list of places wants a gradient of all of them") {
  const Value w(DType::f64, {4, 3}), part(DType::f64, {2, 3}), rate(DType::f64, {1});
  const Value places = Value::ints({2}, {0, 2});
  const auto refused = [&](std::vector<Value> inputs) {
    const Sample s = make_sample("", Op::sgd, SgdAttrs{}, std::move(inputs), {w});
    return check(s, operands_of(s)) != nullptr;
  };
  CHECK_FALSE(refused({w, part, rate, places}));
  CHECK_FALSE(refused({w, w, rate, Value()}));
  CHECK_FALSE(refused({w, w, rate}));
  CHECK(refused({w, part, rate, Value()}));
  CHECK(refused({w, part, rate}));
}

TEST_CASE("attributes that no tensor agrees with are refused") {
  Conv2dAttrs conv;
  const Value x = Value(DType::f64, {1, 5, 5, 4}), w = Value(DType::f64, {6, 3, 3, 4});
  const Value y = Value(DType::f64, {1, 3, 3, 6});
  const auto with = [&](auto change) {
    Conv2dAttrs attrs = conv;
    change(attrs);
    const Sample s = make_sample("", Op::conv2d, attrs, {x, w}, {y});
    return check(s, operands_of(s));
  };
  CHECK(with([](Conv2dAttrs&) {}) == nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.stride_h = 0; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.stride_h = -1; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.pad_left = -1; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.pad_left = 1; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.dilation_w = 1 << 30; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.groups = 0; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.groups = 2; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.input_h = 6; }) != nullptr);
  CHECK(with([](Conv2dAttrs& a) { a.kernel_w = 5; }) != nullptr);
  for (int start : {-1, 3}) {
    const Sample s = make_sample("", Op::slice, SliceAttrs{1, start}, {Value(DType::f64, {2, 5})},
                                 {Value(DType::f64, {2, 3})});
    INFO("start ", start);
    CHECK(check(s, operands_of(s)) != nullptr);
  }
  for (int axis : {-1, 2, 1 << 30}) {
    const Sample s = make_sample("", Op::gather, AxisAttrs{axis},
                                 {Value(DType::f64, {2, 5}), Value::ints({3}, {0, 1, 2})},
                                 {Value(DType::f64, {2, 3})});
    INFO("axis ", axis);
    CHECK(check(s, operands_of(s)) != nullptr);
  }
  TransposeAttrs twice;
  twice.perm[0] = twice.perm[1] = 0;
  const Sample turned = make_sample("", Op::transpose, twice, {Value(DType::f64, {3, 3})},
                                    {Value(DType::f64, {3, 3})});
  CHECK(check(turned, operands_of(turned)) != nullptr);
  for (int axes : {-1, 4}) {
    const Sample s = make_sample("", Op::reduce, ReduceAttrs{axes, false},
                                 {Value(DType::f64, {3, 3})}, {Value(DType::f64, {3, 3})});
    CHECK(check(s, operands_of(s)) != nullptr);
  }
}

}  // namespace attune::test
