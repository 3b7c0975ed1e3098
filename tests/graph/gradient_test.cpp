// Every forward operator's gradient rule and backward kernel against central differences, in
// double.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "graph/rules/rules.h"
#include "tests/graph/support.h"
#include "tests/support/custom_operators.h"

namespace attune::test {
namespace {

enum class Kind { real, positive, constant, positive_constant, choice, places, absent, lengths };
using enum Kind;

struct Input {
  Shape shape;
  Kind kind = real;
};

struct Case {
  const char* name;
  Op op;
  AnyAttrs attrs;
  std::vector<Input> inputs;
  Shape wanted = {};  // output shape, for operators that have a choice
};

const std::vector<Case>& cases() {
  register_test_operators();
  static const std::vector<Case> all = {
      {"plain", Op::conv2d, Conv2dAttrs{}, {{{2, 4, 5, 3}}, {{4, 3, 3, 3}}}},
      {"bias, stride, uneven padding",
       Op::conv2d,
       Conv2dAttrs{.stride_h = 2, .stride_w = 3, .pad_top = 1, .pad_left = 2, .pad_right = 1},
       {{{2, 5, 6, 3}}, {{5, 3, 2, 3}}, {{5}}}},
      {"dilation",
       Op::conv2d,
       Conv2dAttrs{.pad_top = 2, .pad_bottom = 1, .dilation_h = 2, .dilation_w = 3},
       {{{1, 5, 7, 2}}, {{3, 3, 2, 2}}}},
      {"groups",
       Op::conv2d,
       Conv2dAttrs{.stride_h = 2, .pad_left = 1, .groups = 3},
       {{{2, 4, 3, 6}}, {{9, 2, 2, 2}}, {{9}}}},
      {"clamp, no bias",
       Op::conv2d,
       Conv2dAttrs{.pad_top = 1, .clamp_min = 0, .clamp_max = 6},
       {{{1, 4, 4, 2}}, {{3, 2, 2, 2}}}},
      {"relu, bias",
       Op::conv2d,
       Conv2dAttrs{.clamp_min = 0},
       {{{2, 3, 3, 3}}, {{7, 1, 1, 3}}, {{7}}}},
      {"one of everything", Op::conv2d, Conv2dAttrs{}, {{{1, 1, 1, 1}}, {{1, 1, 1, 1}}, {{1}}}},
      {"rows left over by the stride",
       Op::conv2d,
       Conv2dAttrs{.stride_h = 3, .stride_w = 3},
       {{{1, 6, 7, 1}}, {{2, 2, 2, 1}}}},
      {"constant weight", Op::conv2d, Conv2dAttrs{}, {{{1, 3, 3, 2}}, {{3, 2, 2, 2}, constant}}},

      {"plain",
       Op::conv2d_transpose,
       Conv2dAttrs{.input_h = 4, .input_w = 6},
       {{{2, 2, 4, 3}}, {{3, 3, 3, 2}}}},
      {"stride, uneven padding, elements at the end that are in no window",
       Op::conv2d_transpose,
       Conv2dAttrs{.stride_h = 2,
                   .stride_w = 3,
                   .pad_top = 1,
                   .pad_left = 2,
                   .pad_right = 1,
                   .input_h = 5,
                   .input_w = 7},
       {{{2, 2, 3, 3}}, {{3, 3, 2, 2}}}},
      {"groups, dilation",
       Op::conv2d_transpose,
       Conv2dAttrs{.dilation_h = 2, .groups = 2, .input_h = 5, .input_w = 4},
       {{{1, 3, 3, 4}}, {{4, 2, 2, 3}}}},

      {"plain", Op::depthwise_conv2d, Conv2dAttrs{}, {{{2, 4, 4, 3}}, {{3, 3, 3}}}},
      {"bias, stride, padding, relu6",
       Op::depthwise_conv2d,
       Conv2dAttrs{.stride_h = 2,
                   .stride_w = 2,
                   .pad_top = 1,
                   .pad_left = 1,
                   .pad_bottom = 1,
                   .groups = 5,
                   .clamp_min = 0,
                   .clamp_max = 6},
       {{{2, 5, 6, 5}}, {{3, 2, 5}}, {{5}}}},
      {"dilation",
       Op::depthwise_conv2d,
       Conv2dAttrs{.pad_right = 2, .dilation_h = 2, .dilation_w = 2},
       {{{1, 5, 4, 2}}, {{2, 3, 2}}}},

      {"plain", Op::linear, LinearAttrs{}, {{{3, 5}}, {{4, 5}}}},
      {"bias, relu", Op::linear, LinearAttrs{.clamp_min = 0}, {{{3, 5}}, {{7, 5}}, {{7}}}},
      {"one example", Op::linear, LinearAttrs{}, {{{1, 3}}, {{2, 3}}, {{2}}}},
      {"plain", Op::matmul, MatmulAttrs{false, false}, {{{3, 4}}, {{4, 5}}}},
      {"a transposed", Op::matmul, MatmulAttrs{true, false}, {{{4, 3}}, {{4, 5}}}},
      {"b transposed", Op::matmul, MatmulAttrs{false, true}, {{{2, 3, 4}}, {{2, 5, 4}}}},
      {"both transposed", Op::matmul, MatmulAttrs{true, true}, {{{2, 3, 4, 2}}, {{2, 3, 5, 4}}}},
      {"both transposed, one row", Op::matmul, MatmulAttrs{true, true}, {{{3, 1}}, {{5, 3}}}},

      {"images",
       Op::batch_norm,
       BatchNormAttrs{.epsilon = 1e-3},
       {{{2, 2, 3, 3}}, {{3}}, {{3}}, {{3}, constant}, {{3}, positive_constant}}},
      {"vectors",
       Op::batch_norm,
       BatchNormAttrs{},
       {{{4, 5}}, {{5}}, {{5}}, {{5}, constant}, {{5}, positive_constant}}},

      {"images",
       Op::batch_norm_train,
       BatchNormAttrs{.epsilon = 1e-3},
       {{{2, 2, 3, 3}}, {{3}}, {{3}}, {{3}, constant}, {{3}, constant}, {{2}, positive_constant}}},
      {"vectors",
       Op::batch_norm_train,
       BatchNormAttrs{},
       {{{4, 5}}, {{5}}, {{5}}, {{5}, constant}, {{5}, constant}, {{4}, positive_constant}}},

      {"same shapes", Op::add, NoAttrs{}, {{{2, 3}}, {{2, 3}}}},
      {"bias", Op::add, NoAttrs{}, {{{2, 2, 3}}, {{3}}}},
      {"outer", Op::sub, NoAttrs{}, {{{3, 1}}, {{1, 4}}}},
      {"longer second", Op::sub, NoAttrs{}, {{{4}}, {{2, 3, 4}}}},
      {"scalar", Op::mul, NoAttrs{}, {{{2, 3}}, {{}}}},
      {"middle axis", Op::mul, NoAttrs{}, {{{2, 1, 3}}, {{2, 4, 3}}}},
      {"squeeze and excite", Op::mul, NoAttrs{}, {{{2, 3, 3, 4}}, {{2, 1, 1, 4}}}},
      {"same shapes", Op::div, NoAttrs{}, {{{2, 3}}, {{2, 3}, positive}}},
      {"outer", Op::div, NoAttrs{}, {{{3, 1}}, {{2, 1, 4}, positive}}},
      {"constant divisor", Op::div, NoAttrs{}, {{{3, 2}}, {{2}, positive_constant}}},
      {"constant dividend", Op::div, NoAttrs{}, {{{3, 2}, constant}, {{2}, positive}}},

      {"affine", Op::scale, ScaleAttrs{.factor = -1.7, .offset = 0.3}, {{{3, 3}}}},
      {"offset only", Op::scale, ScaleAttrs{.offset = 2}, {{{3, 3}}}},
      {"relu6", Op::clamp, ClampAttrs{.min = 0, .max = 1.1}, {{{5, 7}}}},
      {"relu", Op::clamp, ClampAttrs{.min = 0}, {{{2, 3, 3}}}},
      {"above", Op::clamp, ClampAttrs{.max = 0.5}, {{{13}}}},
      {"default", Op::hard_sigmoid, HardSigmoidAttrs{}, {{{3, 7}}}},
      {"mobilenet's", Op::hard_sigmoid, HardSigmoidAttrs{1.0 / 3, 0.5}, {{{21}}}},
      {"both knees", Op::hard_swish, NoAttrs{}, {{{4, 9}}}},
      {"plain", Op::sigmoid, NoAttrs{}, {{{2, 5}}}},
      {"plain", Op::tanh, NoAttrs{}, {{{2, 5}}}},
      {"plain", Op::sqrt, NoAttrs{}, {{{2, 5}, positive}}},
      {"two inputs, a parameter",
       Op::custom,
       custom_attrs(kSnake.name, {0.75}),
       {{{3, 2, 5}}, {{5}, positive}}},
      {"plain", Op::softplus, NoAttrs{}, {{{2, 5}}}},
      {"vector", Op::softmax, NoAttrs{}, {{{5}}}},
      {"rows", Op::softmax, NoAttrs{}, {{{2, 3, 4}}}},
      {"vector", Op::log_softmax, NoAttrs{}, {{{5}}}},
      {"rows", Op::log_softmax, NoAttrs{}, {{{2, 3, 4}}}},

      {"defaults", Op::lstm, LstmAttrs{}, {{{2, 4, 1, 12}}, {{1, 12, 3}}}},
      {"two directions, all inputs",
       Op::lstm,
       LstmAttrs{},
       {{{2, 3, 2, 8}}, {{2, 8, 2}}, {{2, 2, 8}}, {{2, 2, 2}}, {{2, 2, 2}}, {{2}, lengths}}},
      {"constant weight", Op::lstm, LstmAttrs{true}, {{{1, 3, 1, 8}}, {{1, 8, 2}, constant}}},
      {"defaults", Op::gru, GruAttrs{}, {{{2, 4, 1, 9}}, {{1, 9, 3}}}},
      {"two directions, all inputs",
       Op::gru,
       GruAttrs{},
       {{{2, 3, 2, 6}}, {{2, 6, 2}}, {{2, 2, 6}}, {{2, 2, 2}}, {{2}, lengths}}},
      {"reset after",
       Op::gru,
       GruAttrs{.reverse = true, .reset_after = true},
       {{{2, 3, 1, 9}}, {{1, 9, 3}}, {{1, 2, 9}}, {{2, 1, 3}}, {{2}, lengths}}},
      {"reset after, no state",
       Op::gru,
       GruAttrs{.reset_after = true},
       {{{2, 3, 2, 6}}, {{2, 6, 2}}, {{2, 2, 6}}}},
      {"defaults", Op::rnn, RnnAttrs{}, {{{2, 4, 1, 3}}, {{1, 3, 3}}}},
      {"relu, two directions, all inputs",
       Op::rnn,
       RnnAttrs{.relu = true},
       {{{2, 3, 2, 3}}, {{2, 3, 3}}, {{2, 2, 3}}, {{2, 2, 3}}, {{2}, lengths}}},
      {"plain", Op::exp, NoAttrs{}, {{{2, 5}}}},
      {"plain", Op::log, NoAttrs{}, {{{2, 5}, positive}}},
      {"plain", Op::erf, NoAttrs{}, {{{2, 5}}}},
      {"plain", Op::abs, NoAttrs{}, {{{2, 5}}}},
      {"plain", Op::sin, NoAttrs{}, {{{2, 5}}}},
      {"plain", Op::cos, NoAttrs{}, {{{2, 5}}}},
      {"same shapes", Op::pow, NoAttrs{}, {{{2, 3}, positive}, {{2, 3}}}},
      {"outer", Op::pow, NoAttrs{}, {{{3, 1}, positive}, {{2, 1, 4}}}},
      {"constant exponent", Op::pow, NoAttrs{}, {{{3, 2}, positive}, {{2}, constant}}},
      {"constant base", Op::pow, NoAttrs{}, {{{3, 2}, positive_constant}, {{2}}}},
      {"same shapes", Op::minimum, NoAttrs{}, {{{2, 3}}, {{2, 3}}}},
      {"outer", Op::minimum, NoAttrs{}, {{{3, 1}}, {{2, 1, 4}}}},
      {"same shapes", Op::maximum, NoAttrs{}, {{{2, 3}}, {{2, 3}}}},
      {"scalar", Op::maximum, NoAttrs{}, {{{2, 3}}, {{}}}},
      {"same shapes", Op::where, NoAttrs{}, {{{2, 3}, choice}, {{2, 3}}, {{2, 3}}}},
      {"broadcast", Op::where, NoAttrs{}, {{{4, 1}, choice}, {{3}}, {{}}}},
      {"constant choice", Op::where, NoAttrs{}, {{{2, 3}, choice}, {{2, 3}}, {{}, constant}}},
      {"vector", Op::reduce_max, NoAttrs{}, {{{5}}}},
      {"rows", Op::reduce_max, NoAttrs{}, {{{2, 3, 4}}}},
      {"vector", Op::reduce_prod, NoAttrs{}, {{{5}}}},
      {"rows", Op::reduce_prod, NoAttrs{}, {{{2, 3, 4}}}},

      {"resnet's",
       Op::max_pool2d,
       Pool2dAttrs{.kernel_h = 3,
                   .kernel_w = 3,
                   .stride_h = 2,
                   .stride_w = 2,
                   .pad_top = 1,
                   .pad_left = 1,
                   .pad_bottom = 1,
                   .pad_right = 1},
       {{{2, 5, 6, 3}}}},
      {"uneven, dilated",
       Op::max_pool2d,
       Pool2dAttrs{.kernel_h = 2, .kernel_w = 3, .stride_w = 2, .pad_right = 1, .dilation_h = 2},
       {{{1, 5, 6, 2}}}},
      {"padding counts",
       Op::avg_pool2d,
       Pool2dAttrs{.kernel_h = 3,
                   .kernel_w = 2,
                   .stride_h = 2,
                   .pad_top = 1,
                   .pad_left = 1,
                   .count_padding = true},
       {{{2, 5, 4, 3}}}},
      {"padding does not count",
       Op::avg_pool2d,
       Pool2dAttrs{.kernel_h = 3,
                   .kernel_w = 3,
                   .stride_h = 2,
                   .stride_w = 2,
                   .pad_top = 1,
                   .pad_left = 1,
                   .pad_bottom = 1,
                   .pad_right = 1},
       {{{1, 5, 6, 2}}}},

      {"sum", Op::reduce, ReduceAttrs{.axes = 0b101}, {{{2, 3, 4}}}},
      {"global mean", Op::reduce, ReduceAttrs{.axes = 0b0110, .mean = true}, {{{2, 3, 4, 5}}}},
      {"mean of everything", Op::reduce, ReduceAttrs{.axes = 0b11, .mean = true}, {{{3, 4}}}},
      {"nothing", Op::reduce, ReduceAttrs{}, {{{3, 2}}}},
      {"repeat", Op::broadcast_to, BroadcastAttrs{}, {{{2, 1, 3}}}, {2, 4, 3}},
      {"mean, new axes", Op::broadcast_to, BroadcastAttrs{.mean = true}, {{{3, 1}}}, {2, 3, 4}},
      {"nothing", Op::broadcast_to, BroadcastAttrs{}, {{{2, 3}}}, {2, 3}},
      {"flatten", Op::reshape, NoAttrs{}, {{{2, 3, 4}}}, {2, 12}},
      {"to a scalar", Op::reshape, NoAttrs{}, {{{1, 1}}}, {}},
      {"matrix", Op::transpose, TransposeAttrs{{1, 0, 2, 3, 4, 5}}, {{{2, 3}}}},
      {"to NHWC", Op::transpose, TransposeAttrs{{0, 2, 3, 1, 4, 5}}, {{{2, 3, 4, 5}}}},
      {"six axes", Op::transpose, TransposeAttrs{{5, 0, 3, 1, 4, 2}}, {{{2, 1, 3, 2, 2, 3}}}},
      {"three", Op::concat, AxisAttrs{1}, {{{2, 1, 3}}, {{2, 4, 3}}, {{2, 2, 3}}}},
      {"one", Op::concat, AxisAttrs{0}, {{{2, 3}}}},
      {"with a constant", Op::concat, AxisAttrs{1}, {{{2, 3}}, {{2, 2}, constant}, {{2, 1}}}},
      {"start", Op::slice, SliceAttrs{1, 0}, {{{2, 5, 2}}}, {2, 2, 2}},
      {"middle", Op::slice, SliceAttrs{1, 2}, {{{2, 5, 2}}}, {2, 2, 2}},
      {"end", Op::slice, SliceAttrs{2, 3}, {{{2, 2, 5}}}, {2, 2, 2}},
      {"all", Op::slice, SliceAttrs{0, 0}, {{{3, 2}}}, {3, 2}},
      {"of a vector", Op::slice, SliceAttrs{0, 2}, {{{5}}}, {2}},
      {"some twice", Op::select, AxisAttrs{1}, {{{2, 3, 2}}, {{5}, places}}},
      {"some left out", Op::select, AxisAttrs{0}, {{{4, 2}}, {{2}, places}}},
      {"some twice", Op::scatter_add, AxisAttrs{1}, {{{2, 5, 2}}, {{5}, places}}, {2, 3, 2}},
      {"rows of their own", Op::take_along, NoAttrs{}, {{{2, 3, 2}}, {{2, 4}, places}}},
      {"rows of their own", Op::add_along, NoAttrs{}, {{{2, 4, 2}}, {{2, 4}, places}}, {2, 3, 2}},
      {"forwards", Op::cumsum, CumsumAttrs{1}, {{{2, 4, 2}}}},
      {"backwards, without itself", Op::cumsum, CumsumAttrs{0, true, true}, {{{4, 3}}}},
      {"of rows", Op::top_k, NoAttrs{}, {{{2, 2, 5}}}, {2, 2, 3}},
      {"all", Op::top_k, NoAttrs{}, {{{5}}}, {5}},
  };
  return all;
}

struct Built {
  Graph graph;
  ValueId y = kNone;
  std::vector<ValueId> parameters;
};

Built build(const Case& c) {
  Built built;
  built.graph.real = DType::f64;
  std::vector<ValueId> inputs;
  uint32_t seed = 1;
  for (const Input& input : c.inputs) {
    const auto count = static_cast<size_t>(input.shape.elements());
    const bool is_positive = input.kind == positive || input.kind == positive_constant;
    auto data = is_positive ? test::positive(count, seed) : spread(count, seed);
    if (input.kind == choice)
      for (size_t i = 0; i < count; ++i) data[i] = static_cast<double>(i % 3 == 1);
    const std::string name = "x" + std::to_string(seed++);
    if (input.kind == lengths) {  // one step less for each example
      std::vector<int64_t> ints;
      for (int i = 0; i < input.shape[0]; ++i) ints.push_back(c.inputs[0].shape[1] - i);
      inputs.push_back(built.graph.add_index_constant(name, ints));
      continue;
    }
    if (input.kind == real || input.kind == positive) {
      inputs.push_back(add_parameter(built.graph, name, input.shape, std::move(data)));
      built.parameters.push_back(inputs.back());
    } else if (input.kind == places) {
      std::vector<int64_t> ints(count);
      for (size_t i = 0; i < count; ++i) ints[i] = static_cast<int64_t>(i * 2 % 3);
      inputs.push_back(built.graph.add_known(name, DType::i32, input.shape, Data::of_ints(ints)));
    } else {
      inputs.push_back(built.graph.add_constant(name, input.shape, std::move(data)));
    }
  }
  built.y = built.graph.emit(c.op, c.attrs, inputs, "y", &c.wanted);
  return built;
}

}  // namespace

TEST_CASE("gradients of every operator agree with central differences") {
  for (const Case& c : cases()) {
    CAPTURE(std::string(op_name(c.op)));
    CAPTURE(std::string(c.name));
    const Built built = build(c);
    check_gradients(built.graph, built.y, built.parameters);
  }
}

TEST_CASE("the gradient of one input alone takes nothing that only others need") {
  for (const Case& c : cases()) {
    CAPTURE(std::string(op_name(c.op)));
    CAPTURE(std::string(c.name));
    const Built built = build(c);
    if (built.parameters.size() < 2) continue;
    for (ValueId id : built.parameters) check_gradients(built.graph, built.y, {id});
  }
}

// Ids are no reals, so that rows of a table are no case like the others.
TEST_CASE("the gradient of a table is the sum over those who look its rows up, tied weights too") {
  Graph graph;
  graph.real = DType::f64;
  const ValueId table = add_parameter(graph, "table", {5, 3}, spread(15, 1));
  const ValueId ids = graph.add_known("ids", DType::i32, {2, 3}, Data::of_ints({4, 0, 2, 2, 2, 0}));
  const ValueId rows = graph.emit(Op::take, NoAttrs{}, {table, ids}, "rows");
  check_gradients(graph, rows, {table});
  // The same table as the weight of the layer that scores each of its rows.
  const ValueId scores = graph.emit(Op::linear, LinearAttrs{},
                                    {graph.reshape(rows, Shape{6, 3}, "flat"), table}, "scores");
  check_gradients(graph, scores, {table});
}

TEST_CASE("the table of cases has every forward operator, and only these have gradients") {
  // That of `take` is above.
  std::set<Op> covered;
  for (const Case& c : cases()) covered.insert(c.op);
  for (const OpInfo& info : kOps) {
    CAPTURE(std::string(info.name));
    CHECK(covered.contains(info.op) == (info.kind == OpKind::forward && info.op != Op::take));
    CHECK((gradient_rule(info.op) != nullptr) == (info.kind == OpKind::forward));
  }
}

}  // namespace attune::test
