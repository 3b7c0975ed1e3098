// Every forward operator's gradient rule and backward kernel against central differences, in
// double.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "graph/rules/rules.h"
#include "tests/graph/support.h"

namespace attune::test {
namespace {

enum class Kind { real, positive, constant, positive_constant, absent };
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
      {"plain", Op::softplus, NoAttrs{}, {{{2, 5}}}},
      {"vector", Op::softmax, NoAttrs{}, {{{5}}}},
      {"rows", Op::softmax, NoAttrs{}, {{{2, 3, 4}}}},
      {"vector", Op::log_softmax, NoAttrs{}, {{{5}}}},
      {"rows", Op::log_softmax, NoAttrs{}, {{{2, 3, 4}}}},

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
    const std::string name = "x" + std::to_string(seed++);
    if (input.kind == real || input.kind == positive) {
      inputs.push_back(add_parameter(built.graph, name, input.shape, std::move(data)));
      built.parameters.push_back(inputs.back());
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

TEST_CASE("the table of cases has every forward operator, and only these have gradients") {
  // Tables of rows are frozen, and ids have no gradient: `take` refuses.
  std::set<Op> covered;
  for (const Case& c : cases()) covered.insert(c.op);
  for (const OpInfo& info : kOps) {
    CAPTURE(std::string(info.name));
    CHECK(covered.contains(info.op) == (info.kind == OpKind::forward && info.op != Op::take));
    CHECK((gradient_rule(info.op) != nullptr) == (info.kind == OpKind::forward));
  }
}

}  // namespace attune::test
