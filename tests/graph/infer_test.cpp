// What inference computes and refuses.
#include <doctest/doctest.h>

#include "graph/rules/cut.h"
#include "graph/rules/rules.h"
#include "graph/rules/window.h"
#include "tests/graph/support.h"

namespace attune::test {
namespace {

struct In {
  Shape shape;
  DType dtype = DType::f32;
  bool absent = false;
};
const In kAbsent = {{}, DType::f32, true};

Node node_of(Graph& g, Op op, AnyAttrs attrs, const std::vector<In>& inputs) {
  Node node;
  node.op = op;
  node.attrs = std::move(attrs);
  node.name = "n";
  for (const In& in : inputs) {
    Value value;
    value.dtype = in.dtype;
    value.shape = in.shape;
    node.inputs.push_back(in.absent ? kNone : g.add_value(value));
  }
  return node;
}

std::string outputs_of(Op op, AnyAttrs attrs, const std::vector<In>& inputs,
                       const Shape* wanted = nullptr) {
  Graph g;
  std::string text;
  for (const auto& output : infer_outputs(g, node_of(g, op, std::move(attrs), inputs), wanted))
    text += (text.empty() ? "" : " ") + std::string(dtype_name(output.dtype)) +
            shape_text(output.shape);
  return text;
}

int64_t macs_of(Op op, AnyAttrs attrs, const std::vector<In>& inputs) {
  Graph g;
  const Node node = node_of(g, op, attrs, inputs);
  const Node made = g.make(op, attrs, node.inputs, "n");
  return op_macs(g, made);
}

constexpr DType i32 = DType::i32, u8 = DType::u8, f64 = DType::f64, mask = DType::mask;

struct Refused {
  Op op;
  AnyAttrs attrs;
  std::vector<In> inputs;
  const char* message;
  Shape wanted = {};
};

const std::vector<Refused>& refused() {
  static const std::vector<Refused> all = {
      {Op::conv2d,
       Conv2dAttrs{},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 2}}},
       "w is [2,3,3,2], where [2,3,3,3] is needed: C is 3 in x"},
      {Op::conv2d,
       Conv2dAttrs{},
       {{{1, 4, 4}}, {{2, 3, 3, 2}}},
       "x is [1,4,4], where [N,H,W,G*C] is needed"},
      {Op::conv2d,
       Conv2dAttrs{},
       {{{1, 2, 4, 3}}, {{2, 3, 3, 3}}},
       "the window does not fit into the padded image: H is 2, the kernel 3, stride 1"},
      {Op::conv2d,
       Conv2dAttrs{.dilation_w = 2},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "the window does not fit into the padded image: W is 4, the kernel 3, stride 1, dilation 2"},
      {Op::conv2d,
       Conv2dAttrs{.groups = 2},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 1}}},
       "x is [1,4,4,3], where 3 does not divide by G = 2"},
      {Op::conv2d,
       Conv2dAttrs{.groups = 3},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 1}}},
       "w is [2,3,3,1], where 2 does not divide by G = 3"},
      {Op::conv2d,
       Conv2dAttrs{.groups = 0},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "groups below 1: groups=0"},
      {Op::conv2d,
       Conv2dAttrs{.stride_h = 0},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "a stride below 1: H is 4, the kernel 3, stride 0"},
      {Op::conv2d,
       Conv2dAttrs{.dilation_h = 0},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "a dilation below 1"},
      {Op::conv2d,
       Conv2dAttrs{.pad_left = -1},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "a negative padding: W is 4, the kernel 3, stride 1, dilation 1, padding -1 and 0"},
      {Op::conv2d,
       Conv2dAttrs{.pad_top = INT32_MAX},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "padding that is too large: H is 4"},
      {Op::conv2d,
       Conv2dAttrs{.clamp_min = 1, .clamp_max = 0},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "clamp from 1 to 0"},
      {Op::conv2d,
       Conv2dAttrs{.input_h = 5},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "x is [1,4,4,3], where [1,5,4,3] is needed: H is 5 in the attributes"},
      {Op::conv2d,
       Conv2dAttrs{.kernel_w = 2},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}},
       "w is [2,3,3,3], where [2,3,2,3] is needed: KW is 2 in the attributes"},
      {Op::conv2d,
       Conv2dAttrs{},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}}, {{3}}},
       "bias is [3], where [2] is needed: G*O is 2 in w"},
      {Op::conv2d,
       Conv2dAttrs{},
       {{{1, 4, 4, 3}}, {{2, 3, 3, 3}, f64}},
       "w is f64, where f32 is needed"},
      {Op::conv2d,
       Conv2dAttrs{},
       {{{1, 4, 4, 3}, u8}, {{2, 3, 3, 3}}},
       "x is u8, where f32 or f64 is needed"},
      {Op::conv2d_grad_input,
       Conv2dAttrs{},
       {{{1, 2, 2, 2}}, {{2, 3, 3, 3}}},
       "the attributes state no size of the image: H is 0"},
      {Op::conv2d_grad_input,
       Conv2dAttrs{.input_h = 4, .input_w = 5},
       {{{1, 2, 2, 2}}, {{2, 3, 3, 3}}},
       "dy is [1,2,2,2], where [1,2,3,2] is needed: W' is 3, the windows over W = 5"},
      {Op::conv2d_transpose,
       Conv2dAttrs{},
       {{{1, 2, 2, 2}}, {{2, 3, 3, 3}}},
       "the attributes state no size of the image: H is 0"},
      {Op::conv2d_transpose,
       Conv2dAttrs{.input_h = 4, .input_w = 5},
       {{{1, 2, 2, 2}}, {{2, 3, 3, 3}}},
       "x is [1,2,2,2], where [1,2,3,2] is needed: W' is 3, the windows over W = 5"},
      {Op::conv2d_grad_weight,
       Conv2dAttrs{},
       {{{1, 4, 4, 3}}, {{1, 2, 2, 2}}},
       "the attributes state no size of the kernel"},
      {Op::conv2d_grad_weight,
       Conv2dAttrs{.kernel_h = 2, .kernel_w = 3},
       {{{1, 4, 4, 3}}, {{1, 2, 2, 2}}},
       "dy is [1,2,2,2], where [1,3,2,2]"},
      {Op::depthwise_conv2d,
       Conv2dAttrs{},
       {{{1, 4, 4, 3}}, {{3, 3, 2}}},
       "w is [3,3,2], where [3,3,3] is needed: C is 3 in x"},
      {Op::depthwise_conv2d_grad_weight,
       Conv2dAttrs{.kernel_h = 3, .kernel_w = 3},
       {{{1, 4, 4, 3}}, {{1, 2, 2, 2}}},
       "dy is [1,2,2,2], where [1,2,2,3]"},
      {Op::linear,
       LinearAttrs{},
       {{{2, 3}}, {{4, 2}}},
       "w is [4,2], where [4,3] is needed: I is 3 in x"},
      {Op::linear, LinearAttrs{}, {{{2, 1, 3}}, {{4, 3}}}, "x is [2,1,3], where [N,I] is needed"},
      {Op::matmul,
       MatmulAttrs{},
       {{{2, 3}}, {{4, 5}}},
       "b is [4,5], where [3,5] is needed: K is 3 in a"},
      {Op::matmul,
       MatmulAttrs{},
       {{{2, 2, 3}}, {{1, 3, 5}}},
       "b is [1,3,5], where [2,3,5] is needed"},
      {Op::matmul, MatmulAttrs{}, {{{3}}, {{3}}}, "a is [3], where [..,M,K] is needed"},
      {Op::matmul, MatmulAttrs{}, {{{1, 2, 3}}, {{3, 5}}}, "b is [3,5], where [1,3,5] is needed"},
      {Op::batch_norm,
       BatchNormAttrs{},
       {{{2, 3}}, {{3}}, {{3}}, {{3}}, {{2}}},
       "var is [2], where [3] is needed: C is 3 in x"},
      {Op::batch_norm, BatchNormAttrs{-1}, {{{2, 3}}, {{3}}, {{3}}, {{3}}, {{3}}}, "epsilon -1"},
      {Op::add, NoAttrs{}, {{{2, 3}}, {{2}}}, "b is [2], which does not broadcast to [2,3]"},
      {Op::add, NoAttrs{}, {{{2}, i32}, {{2}, i32}}, "a is i32, where f32 or f64 is needed"},
      {Op::add, NoAttrs{}, {{{65536, 1}}, {{1, 65536}}}, "2^31"},
      {Op::clamp, ClampAttrs{.min = 2, .max = 1}, {{{2}}}, "clamp from 2 to 1"},
      {Op::clamp_mask, ClampAttrs{.min = 2, .max = 1}, {{{2}}}, "clamp from 2 to 1"},
      {Op::depthwise_conv2d_grad_input,
       Conv2dAttrs{.input_h = 2, .input_w = 2},
       {{{1, 2, 2, 3}}, {{1, 1, 3}}, {{1, 2, 2, 3}}},
       "mask is f32, where mask is needed"},
      {Op::depthwise_conv2d_grad_input,
       Conv2dAttrs{.input_h = 2, .input_w = 2},
       {{{1, 2, 2, 3}}, {{1, 1, 3}}, {{1, 2, 2, 4}, mask}},
       "mask is [1,2,2,4], where [1,2,2,3] is needed: C is 3 in dy"},
      {Op::mask_grad, NoAttrs{}, {{{2}}, {{2}}}, "mask is f32, where mask is needed"},
      {Op::mask_grad,
       NoAttrs{},
       {{{2}}, {{3}, mask}},
       "mask is [3], where [2] is needed: C is 2 in dy"},
      {Op::sigmoid_grad, NoAttrs{}, {{{2}}, {{3}}}, "y is [3], where [2] is needed"},
      {Op::max_pool2d,
       Pool2dAttrs{.kernel_h = 2, .pad_top = 2},
       {{{1, 4, 4, 1}}},
       "window 0 sees only padding: H is 4"},
      {Op::avg_pool2d,
       Pool2dAttrs{.kernel_w = 2, .stride_w = 3, .pad_right = 2},
       {{{1, 4, 3, 1}}},
       "window 1 sees only padding: W is 3"},
      {Op::max_pool2d,
       Pool2dAttrs{.kernel_w = 2, .pad_left = 3, .pad_right = 1, .dilation_w = 5},
       {{{1, 1, 2, 1}}},
       "window 0 sees only padding: W is 2"},
      {Op::max_pool2d,
       Pool2dAttrs{.kernel_h = 0},
       {{{1, 4, 4, 1}}},
       "the attributes state no size of the kernel: H is 4, the kernel 0"},
      {Op::max_pool2d,
       Pool2dAttrs{.kernel_h = 5},
       {{{1, 4, 4, 1}}},
       "the window does not fit into the padded image: H is 4, the kernel 5"},
      {Op::max_pool2d_grad,
       Pool2dAttrs{.input_h = 2, .input_w = 2},
       {{{1, 2, 2, 1}}, {{1, 2, 2, 1}}},
       "argmax is f32, where i32"},
      {Op::avg_pool2d_grad,
       Pool2dAttrs{.kernel_h = 2, .input_h = 2, .input_w = 2},
       {{{1, 2, 2, 1}}},
       "dy is [1,2,2,1], where [1,1,2,1]"},
      {Op::reduce, ReduceAttrs{.axes = 4}, {{{2, 3}}}, "the input has no such axes: axes=4"},
      {Op::reduce, ReduceAttrs{.axes = -1}, {{{2, 3}}}, "the input has no such axes: axes=-1"},
      {Op::broadcast_to,
       BroadcastAttrs{},
       {{{2, 3}}},
       "x is [2,3], which does not broadcast to [2,4]",
       {2, 4}},
      {Op::broadcast_to,
       BroadcastAttrs{},
       {{{1, 3}}},
       "x is [1,3], which does not broadcast to [3]",
       {3}},
      {Op::reshape,
       NoAttrs{},
       {{{2, 3}}},
       "not as many elements as the input has, for an output of [5]",
       {5}},
      {Op::transpose,
       TransposeAttrs{{0, 0, 2, 3, 4, 5}},
       {{{2, 3}}},
       "no permutation of the axes: [0,0]"},
      {Op::transpose,
       TransposeAttrs{{2, 0, 1, 3, 4, 5}},
       {{{2, 3}}},
       "no permutation of the axes: [2,0]"},
      {Op::concat, AxisAttrs{2}, {{{2, 3}}}, "input 0 is [2,3]: it has no axis 2"},
      {Op::concat, AxisAttrs{-1}, {{{2, 3}}}, "input 0 is [2,3]: it has no axis -1"},
      {Op::concat, AxisAttrs{1}, {{{2, 3}}, {{3, 3}}}, "input 1 is [3,3], where [2,A] is needed"},
      {Op::concat, AxisAttrs{1}, {{{2, 3}}, {{2}}}, "input 1 is [2]: it has no axis 1"},
      {Op::concat, AxisAttrs{1}, {{{2, 3}}, kAbsent}, "input 1 is missing"},
      {Op::concat, AxisAttrs{1}, {}, "0 inputs"},
      {Op::concat, AxisAttrs{0}, {{{2}}, {{2}, u8}}, "input 1 is u8, where f32 is needed"},
      {Op::slice, SliceAttrs{0, 0}, {{{8}, mask}}, "a type of whole bytes", {8}},
      {Op::slice,
       SliceAttrs{1, 2},
       {{{2, 3}}},
       "the input has no such elements: axis=1 start=2, for an output of [2,2]",
       {2, 2}},
      {Op::slice,
       SliceAttrs{1, -1},
       {{{2, 3}}},
       "the input has no such elements: axis=1 start=-1",
       {2, 2}},
      {Op::slice, SliceAttrs{1, 0}, {{{2, 3}}}, "y is [1,2], where [2,2] is needed", {1, 2}},
      {Op::slice, SliceAttrs{1, 0}, {{{2, 3}}}, "its output [2,0] is empty", {2, 0}},
      {Op::gather, AxisAttrs{0}, {{{2, 3}}, {{2}}}, "indices is f32, where i32"},
      {Op::select, AxisAttrs{0}, {{{2, 3}}, {{2}}}, "indices is f32, where i32"},
      {Op::interleave,
       AxisAttrs{1},
       {{{2, 3}}, {{2, 1}}, {{3}, i32}},
       "both parts are not as long as the whole: axis=1, for an output of [2,5]",
       {2, 5}},
      {Op::select, AxisAttrs{2}, {{{2, 3}}, {{2}, i32}}, "x is [2,3]: it has no axis 2"},
      {Op::scatter_add,
       AxisAttrs{1},
       {{{2, 3}}, {{2}, i32}},
       "indices is [2], where [3] is needed: K is 3 in x",
       {2, 5}},
      {Op::take_along,
       NoAttrs{},
       {{{2, 3, 4}}, {{3, 2}, i32}},
       "ids is [3,2], where [2,2] is needed: N is 2 in x"},
      {Op::take_along, NoAttrs{}, {{{2, 3, 4}}, {{2, 2}}}, "ids is f32, where i32"},
      {Op::add_along,
       NoAttrs{},
       {{{2, 3, 4}}, {{2, 2}, i32}},
       "ids is [2,2], where [2,3] is needed: K is 3 in x",
       {2, 5, 4}},
      {Op::cumsum, CumsumAttrs{2}, {{{2, 3}}}, "x is [2,3]: it has no axis 2"},
      {Op::top_k, NoAttrs{}, {{{2, 3}}}, "the 4 largest of 3", {2, 4}},
      {Op::normalize, NoAttrs{}, {{{1, 2, 2, 3}}, {{3}}, {{3}}}, "x is f32, where u8"},
      {Op::normalize, NoAttrs{}, {{{1, 2, 2, 3}, u8}, {{3}}, {{1}}}, "offset is [1], where [3]"},
      {Op::softmax_cross_entropy, NoAttrs{}, {{{2, 3}}, {{2}}, {{2}}}, "labels is f32, where i32"},
      {Op::softmax_cross_entropy,
       NoAttrs{},
       {{{2, 3}}, {{3}, i32}, {{2}}},
       "labels is [3], where [2] is needed: N is 2 in logits"},
      {Op::softmax_cross_entropy, NoAttrs{}, {{{2, 3}}, {{2}, i32}, {{2}, f64}}, "weights is f64"},
      {Op::mean_squared_error,
       NoAttrs{},
       {{{2, 3}}, {{2}}, {{2}}},
       "target is [2], where [2,3] is needed"},
      {Op::count_correct,
       NoAttrs{},
       {{{2}}, {{2}, i32}, {{2}}},
       "logits is [2], where [N,C] is needed"},
      {Op::sgd,
       SgdAttrs{},
       {{{4, 3}}, {{2, 3}}, {{1}}},
       "dw is [2,3], where [4,3] is needed: K is 4 in w"},
      {Op::sgd,
       SgdAttrs{.axis = 2},
       {{{4, 3}}, {{2, 3}}, {{1}}, {{2}, i32}},
       "w is [4,3]: it has no axis 2"},
      {Op::sgd,
       SgdAttrs{},
       {{{4, 3}}, {{2, 3}}, {{2}}, {{2}, i32}},
       "lr is [2], where [1] is needed"},
      {Op::sgd,
       SgdAttrs{},
       {{{1, 3}}, {{2, 3}}, {{1}}, {{2}, i32}},
       "indices: 2 elements of an axis of 1"},
      {Op::momentum,
       MomentumAttrs{},
       {{{4, 3}}, {{2, 3}}, {{1}}, {{2}, i32}, {{4, 3}}},
       "velocity is [4,3], where [2,3] is needed: K is 2 in dw"},
      {Op::momentum, MomentumAttrs{}, {{{4}}, {{4}}, {{1}}, kAbsent}, "4 inputs, where it takes 5"},
      {Op::adam,
       AdamAttrs{},
       {{{4}}, {{4}}, {{1}}, kAbsent, {{4}}, {{4}}, {{1}}},
       "step is f32, where i32"},
      {Op::adam,
       AdamAttrs{},
       {{{4}}, kAbsent, {{1}}, kAbsent, {{4}}, {{4}}, {{1}, i32}},
       "input 1 is missing"},
  };
  return all;
}

}  // namespace

TEST_CASE("what an operator's kernels do not take is refused, and why is said") {
  for (const Refused& r : refused()) {
    CAPTURE(std::string(op_name(r.op)));
    CAPTURE(std::string(r.message));
    Graph g;
    const Node node = node_of(g, r.op, r.attrs, r.inputs);
    const std::string error =
        error_of([&] { g.emit(r.op, r.attrs, node.inputs, "here", &r.wanted); });
    CAPTURE(error);
    CHECK(error.find(r.message) != std::string::npos);
    CHECK(g.nodes.empty());
  }
}

TEST_CASE("messages name the operator, the node and its inputs") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f32, {1, 4, 4, 3});
  const ValueId w = g.add_constant("w", {1, 1, 1, 2}, {1, 2});
  CHECK(error_of([&] {
          g.emit(Op::conv2d, Conv2dAttrs{}, {x, w}, "layer1.conv");
        }) ==
        "conv2d 'layer1.conv' of (f32[1,4,4,3], f32[1,1,1,2]): w is [1,1,1,2], where [1,1,1,3] is "
        "needed: C is 3 in x");
}

TEST_CASE("constant indices are checked") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f32, {3, 2});
  const ValueId lr = g.add_input("lr", DType::f32, {1});
  const ValueId bad = g.add_index_constant("bad", {0, 3}), good = g.add_index_constant("good", {2});
  CHECK(error_of([&] {
          g.emit(Op::gather, AxisAttrs{0}, {x, bad}, "n");
        }).find("indices: 3 is no element of an axis of 3") != std::string::npos);
  CHECK(g.shape(g.emit(Op::gather, AxisAttrs{0}, {x, good}, "n")) == Shape{1, 2});
  const ValueId w = add_parameter(g, "w", {3, 1}, 1), dw = add_parameter(g, "dw", {2, 1}, 1);
  CHECK(error_of([&] {
          g.emit(Op::sgd, SgdAttrs{}, {w, dw, lr, bad}, "n");
        }).find("indices: 3 is no element of an axis of 3") != std::string::npos);
}

TEST_CASE("all outputs are described, wanted or not") {
  const Conv2dAttrs conv{.stride_h = 2, .pad_top = 1, .pad_left = 1, .pad_bottom = 1};
  CHECK(outputs_of(Op::conv2d, conv, {{{2, 5, 6, 4}}, {{7, 3, 3, 4}}}) ==
        "f32[2,3,5,7] mask[2,3,5,7]");
  CHECK(outputs_of(Op::depthwise_conv2d, conv, {{{2, 5, 6, 4}}, {{3, 3, 4}}, {{4}}}) ==
        "f32[2,3,5,4] mask[2,3,5,4]");
  CHECK(outputs_of(Op::linear, LinearAttrs{}, {{{2, 3}, f64}, {{5, 3}, f64}}) ==
        "f64[2,5] mask[2,5]");
  CHECK(outputs_of(Op::clamp, ClampAttrs{}, {{{}}}) == "f32[] mask[]");
  CHECK(outputs_of(Op::mask_grad, NoAttrs{}, {{{}}, {{}, mask}}) == "f32[] f32[]");
  CHECK(outputs_of(Op::softmax, NoAttrs{}, {{{}}}) == "f32[]");
  CHECK(outputs_of(Op::sgd, SgdAttrs{}, {{{}}, {{}}, {{1}}}) == "f32[]");
  CHECK(outputs_of(Op::clamp_mask, ClampAttrs{}, {{{2, 3}, f64}}) == "mask[2,3]");
  CHECK(outputs_of(Op::max_pool2d, Pool2dAttrs{.kernel_h = 2, .kernel_w = 2, .stride_h = 2},
                   {{{1, 5, 5, 3}}}) == "f32[1,2,4,3] i32[1,2,4,3]");
  CHECK(outputs_of(Op::softmax_cross_entropy, NoAttrs{}, {{{2, 3}}, {{2}, i32}, {{2}}}) ==
        "f32[1] f32[2,3]");
  CHECK(outputs_of(Op::normalize, NoAttrs{}, {{{1, 2, 2, 3}, u8}, {{3}, f64}, {{3}, f64}}) ==
        "f64[1,2,2,3]");
  CHECK(outputs_of(Op::momentum, MomentumAttrs{.axis = 1},
                   {{{4, 3}}, {{4, 2}}, {{1}}, {{2}, i32}, {{4, 2}}}) == "f32[4,3] f32[4,2]");
  const Shape flat = {6};
  CHECK(outputs_of(Op::reshape, NoAttrs{}, {{{2, 3}, i32}}, &flat) == "i32[6]");
  CHECK(outputs_of(Op::add, NoAttrs{}, {{{3, 1}}, {{2, 1, 4}}}) == "f32[2,3,4]");
  CHECK(outputs_of(Op::div, NoAttrs{}, {{{}}, {{3}}}) == "f32[3]");
}

TEST_CASE("a weight gradient may be of some channels only") {
  const Conv2dAttrs attrs{.input_h = 4, .input_w = 4, .kernel_h = 3, .kernel_w = 3};
  CHECK(outputs_of(Op::conv2d_grad_weight, attrs, {{{2, 4, 4, 3}}, {{2, 2, 2, 5}}}) ==
        "f32[5,3,3,3]");
  CHECK(outputs_of(Op::conv2d_grad_weight, attrs, {{{2, 4, 4, 1}}, {{2, 2, 2, 2}}}) ==
        "f32[2,3,3,1]");
}

TEST_CASE("with_sizes gives a convolution's gradients what they need") {
  const Conv2dAttrs attrs = with_sizes(Conv2dAttrs{.stride_h = 2}, {1, 7, 9, 3}, 3, 5);
  CHECK(attrs.input_h == 7);
  CHECK(attrs.input_w == 9);
  CHECK(attrs.kernel_h == 3);
  CHECK(attrs.kernel_w == 5);
  CHECK(attrs.stride_h == 2);
  CHECK_FALSE(without_clamp(Conv2dAttrs{.clamp_min = 0, .clamp_max = 6}).clamps());
}

TEST_CASE("multiply-accumulates of one run") {
  Conv2dAttrs attrs{
      .stride_h = 2, .groups = 2, .input_h = 5, .input_w = 6, .kernel_h = 3, .kernel_w = 2};
  // 2 x 2 x 5 x 8 outputs, each of 3 x 2 x 3 products.
  CHECK(macs_of(Op::conv2d, attrs, {{{2, 5, 6, 6}}, {{8, 3, 2, 3}}}) == 160 * 18);
  CHECK(macs_of(Op::conv2d_grad_input, attrs, {{{2, 2, 5, 8}}, {{8, 3, 2, 3}}}) == 160 * 18);
  CHECK(macs_of(Op::conv2d_grad_weight, attrs, {{{2, 5, 6, 6}}, {{2, 2, 5, 8}}}) == 160 * 18);
  attrs.groups = 1;
  CHECK(macs_of(Op::depthwise_conv2d, attrs, {{{2, 5, 6, 4}}, {{3, 2, 4}}}) == 80 * 6);
  CHECK(macs_of(Op::depthwise_conv2d_grad_input, attrs, {{{2, 2, 5, 4}}, {{3, 2, 4}}}) == 80 * 6);
  CHECK(macs_of(Op::depthwise_conv2d_grad_weight, attrs, {{{2, 5, 6, 4}}, {{2, 2, 5, 4}}}) ==
        80 * 6);
  CHECK(macs_of(Op::linear, LinearAttrs{}, {{{2, 3}}, {{5, 3}}}) == 30);
  CHECK(macs_of(Op::matmul, MatmulAttrs{}, {{{7, 2, 3}}, {{7, 3, 5}}}) == 210);
  CHECK(macs_of(Op::matmul, MatmulAttrs{true, true}, {{{7, 3, 2}}, {{7, 5, 3}}}) == 210);
}

}  // namespace attune::test
