#include "graph/training/autodiff.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "graph/passes/passes.h"
#include "tests/graph/support.h"

namespace attune::test {
namespace {

Graph double_graph() {
  Graph graph;
  graph.real = DType::f64;
  return graph;
}

int count(const Graph& graph, Op op) {
  return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                        [&](const Node& node) { return node.op == op; }));
}

}  // namespace

TEST_CASE("gradients of a residual block add up") {
  Graph g = double_graph();
  const ValueId x = add_parameter(g, "x", {2, 3, 3, 4}, 1);
  const ValueId w = add_parameter(g, "w", {4, 3, 3, 4}, 2);
  const ValueId b = add_parameter(g, "b", {4}, 3);
  const Conv2dAttrs same{.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
  const ValueId scaled = g.emit(Op::scale, ScaleAttrs{.factor = 0.3}, {x}, "scaled");
  const ValueId conv = g.emit(Op::conv2d, same, {scaled, w, b}, "conv");
  const ValueId act = g.emit(Op::hard_swish, NoAttrs{}, {conv}, "act");
  const ValueId y = g.emit(Op::add, NoAttrs{}, {act, scaled}, "y");
  check_gradients(g, y, {x, w, b});
}

TEST_CASE("tied weights get the sum of their gradients, directly and through a transpose") {
  Graph g = double_graph();
  const ValueId x = add_parameter(g, "x", {3, 4}, 1);
  const ValueId w = add_parameter(g, "w", {5, 4}, 2);
  const ValueId hidden = g.emit(Op::linear, LinearAttrs{}, {x, w}, "encode");
  const ValueId act = g.emit(Op::tanh, NoAttrs{}, {hidden}, "act");
  const ValueId wt = g.emit(Op::transpose, TransposeAttrs{{1, 0, 2, 3, 4, 5}}, {w}, "wt");
  const ValueId back = g.emit(Op::linear, LinearAttrs{}, {act, wt}, "decode");
  const ValueId again = g.emit(Op::linear, LinearAttrs{}, {back, w}, "encode_again");
  check_gradients(g, again, {w, x});
  check_gradients(g, again, {w});
}

TEST_CASE("a value read twice by one node counts twice") {
  Graph g = double_graph();
  const ValueId x = add_parameter(g, "x", {2, 3}, 1);
  SUBCASE("square") { check_gradients(g, g.emit(Op::mul, NoAttrs{}, {x, x}, "y"), {x}); }
  SUBCASE("twice") { check_gradients(g, g.emit(Op::add, NoAttrs{}, {x, x}, "y"), {x}); }
  SUBCASE("concat of three") {
    check_gradients(g, g.emit(Op::concat, AxisAttrs{1}, {x, x, x}, "y"), {x});
  }
  SUBCASE("matmul with itself") {
    check_gradients(g, g.emit(Op::matmul, MatmulAttrs{false, true}, {x, x}, "y"), {x});
  }
}

TEST_CASE("slices of one value put its gradient together again") {
  Graph g = double_graph();
  const ValueId x = add_parameter(g, "x", {2, 5}, 1);
  const Shape left = {2, 2}, right = {2, 4};
  const ValueId a = g.emit(Op::slice, SliceAttrs{1, 0}, {x}, "a", &left);
  const ValueId b = g.emit(Op::slice, SliceAttrs{1, 1}, {x}, "b", &right);
  const ValueId sum = g.emit(Op::reduce, ReduceAttrs{.axes = 0b10}, {b}, "sum");
  check_gradients(g, g.emit(Op::mul, NoAttrs{}, {a, sum}, "y"), {x});
}

TEST_CASE("a whole small network with every kind of layer has the right gradients") {
  Graph g = double_graph();
  const ValueId x = add_parameter(g, "x", {2, 6, 6, 3}, spread(216, 1, 1));
  const ValueId w1 = add_parameter(g, "w1", {4, 3, 3, 3}, spread(108, 2, 0.5));
  const ValueId gamma = add_parameter(g, "gamma", {4}, positive(4, 3));
  const ValueId beta = add_parameter(g, "beta", {4}, spread(4, 4, 0.5));
  const ValueId mean = g.add_constant("mean", {4}, spread(4, 5, 0.5));
  const ValueId var = g.add_constant("var", {4}, positive(4, 6));
  const ValueId w2 = add_parameter(g, "w2", {3, 3, 4}, spread(36, 7, 0.5));
  const ValueId w3 = add_parameter(g, "w3", {5, 4}, spread(20, 8, 1));
  const Conv2dAttrs same{.pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
  ValueId v = g.emit(Op::conv2d, same, {x, w1}, "conv");
  v = g.emit(Op::batch_norm, BatchNormAttrs{}, {v, gamma, beta, mean, var}, "norm");
  v = g.emit(Op::clamp, ClampAttrs{.min = 0, .max = 6}, {v}, "relu6");
  const ValueId gate_in =
      g.emit(Op::reduce, ReduceAttrs{.axes = 0b110, .mean = true}, {v}, "squeeze");
  const ValueId gate = g.emit(Op::sigmoid, NoAttrs{}, {gate_in}, "gate");
  v = g.emit(Op::mul, NoAttrs{}, {v, gate}, "excite");
  v = g.emit(Op::depthwise_conv2d, same, {v, w2}, "depthwise");
  v = g.emit(Op::max_pool2d,
             Pool2dAttrs{.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2}, {v}, "pool");
  v = g.emit(Op::reduce, ReduceAttrs{.axes = 0b110, .mean = true}, {v}, "mean_hw");
  const Shape flat = {2, 4};
  v = g.emit(Op::reshape, NoAttrs{}, {v}, "flat", &flat);
  v = g.emit(Op::linear, LinearAttrs{}, {v, w3}, "head");
  v = g.emit(Op::softmax, NoAttrs{}, {v}, "softmax");
  check_gradients(g, v, {x, w1, gamma, beta, w2, w3});
  check_gradients(g, v, {w3});
}

TEST_CASE("both losses have the gradients that their backward operators compute") {
  Graph g = double_graph();
  const ValueId logits = add_parameter(g, "logits", {4, 5}, 1);
  const ValueId weights = g.add_constant("weights", {4}, {1, 0.5, 0, 2});
  ValueId loss = kNone, gradient = kNone;
  SUBCASE("softmax_cross_entropy") {
    const ValueId labels = g.add_index_constant("labels", {4, 0, 2, 1});
    loss = g.emit(Op::softmax_cross_entropy, NoAttrs{}, {logits, labels, weights}, "loss");
    const ValueId probabilities = g.want_output(g.nodes.back(), 1);
    gradient =
        g.emit(Op::softmax_cross_entropy_grad, NoAttrs{}, {probabilities, labels, weights}, "grad");
  }
  SUBCASE("mean_squared_error") {
    const ValueId target = g.add_constant("target", {4, 5}, spread(20, 2));
    loss = g.emit(Op::mean_squared_error, NoAttrs{}, {logits, target, weights}, "loss");
    gradient = g.emit(Op::mean_squared_error_grad, NoAttrs{}, {logits, target, weights}, "grad");
  }
  g.verify();
  const std::vector<double> analytic = interpret(g, {})[gradient].reals();
  const std::vector<double> numeric = numeric_gradient(g, loss, {1}, logits);
  for (size_t i = 0; i < analytic.size(); ++i)
    CHECK(analytic[i] == doctest::Approx(numeric[i]).epsilon(1e-6));
}

TEST_CASE("the backward pass stops at the earliest wanted value") {
  Graph g = double_graph();
  const ValueId x = g.add_input("x", DType::f64, {1, 4, 4, 2});
  const ValueId w1 = add_parameter(g, "w1", {3, 1, 1, 2}, 1);
  const ValueId w2 = add_parameter(g, "w2", {2, 1, 1, 3}, 2);
  const ValueId side = add_parameter(g, "side", {2}, 3);
  ValueId v = g.emit(Op::conv2d, Conv2dAttrs{}, {x, w1}, "first");
  v = g.emit(Op::clamp, ClampAttrs{.min = 0}, {v}, "relu");
  v = g.emit(Op::conv2d, Conv2dAttrs{}, {v, w2}, "second");
  const ValueId aside = g.emit(Op::add, NoAttrs{}, {v, side}, "aside");  // reaches no seed
  const ValueId seed = g.add_constant("seed", g.shape(v), spread(32, 4));

  Graph last = g;
  CHECK(differentiate(last, {{v, seed}}, {w2}).size() == 1);
  CHECK(last.nodes.size() == g.nodes.size() + 1);
  CHECK(last.nodes.back().op == Op::conv2d_grad_weight);
  CHECK(last.nodes.back().name == "second/grad_weight");
  CHECK(last.nodes[1].outputs.size() == 1);  // no mask is saved

  Graph both = g;
  const auto gradients = differentiate(both, {{v, seed}}, {w1, w2, side});
  CHECK(gradients.size() == 2);
  CHECK_FALSE(gradients.contains(side));
  CHECK(count(both, Op::conv2d_grad_input) == 1);
  CHECK(both.nodes[1].outputs.size() == 2);
  both.verify();

  // An intermediate value may be wanted too, and the seeded value itself.
  Graph middle = g;
  const ValueId relu = g.nodes[1].outputs[0];
  const auto of_middle = differentiate(middle, {{v, seed}}, {relu, v, aside});
  CHECK(of_middle.size() == 2);
  CHECK(of_middle.at(v) == seed);
  CHECK(middle.value(of_middle.at(relu)).name == "grad:relu");
}

TEST_CASE("the backward pass of a network prints as a text, weight gradients first") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f32, {2, 3});
  const ValueId w1 = add_parameter(g, "w1", {4, 3}, 1);
  const ValueId b1 = add_parameter(g, "b1", {4}, 2);
  const ValueId w2 = add_parameter(g, "w2", {2, 4}, 3);
  ValueId v = g.emit(Op::linear, LinearAttrs{.clamp_min = 0}, {x, w1, b1}, "fc1");
  v = g.emit(Op::linear, LinearAttrs{}, {v, w2}, "fc2");
  const ValueId seed = g.add_constant("seed", {2, 2}, {1, 2, 3, 4});
  const auto gradients = differentiate(g, {{v, seed}}, {w1, b1, w2});
  g.outputs = {{"dw1", gradients.at(w1)}, {"db1", gradients.at(b1)}, {"dw2", gradients.at(w2)}};
  g.verify();
  CHECK(g.text() == R"(input x: %x f32[2,3]
parameter %w1 f32[4,3]
parameter %b1 f32[4]
parameter %w2 f32[2,4]
constant %seed f32[2,2] = 1 2 3 4
%fc1 f32[2,4], %fc1:1 mask[2,4] = linear(%x, %w1, %b1) clamp_min=0
%fc2 f32[2,2] = linear(%fc1, %w2)
%grad:w2 f32[2,4] = matmul(%seed, %fc1) transpose_a=true   # fc2/grad_weight
%grad:fc1 f32[2,4] = matmul(%seed, %w2)   # fc2/grad_input
%fc1/grad_clamp f32[2,4] = mask_grad(%grad:fc1, %fc1:1)
%grad:w1 f32[4,3] = matmul(%fc1/grad_clamp, %x) transpose_a=true   # fc1/grad_weight
%fc1/reduce f32[1,4] = reduce(%fc1/grad_clamp) axes=1
%grad:b1 f32[4] = reshape(%fc1/reduce)   # fc1/reshape
output dw1: %grad:w1
output db1: %grad:b1
output dw2: %grad:w2
)");
}

TEST_CASE("differentiation is the same every time") {
  const auto text = [] {
    Graph g = double_graph();
    const ValueId x = add_parameter(g, "x", {2, 2}, 1);
    ValueId v = x;
    for (int i = 0; i < 4; ++i)
      v = g.emit(Op::mul, NoAttrs{}, {v, g.emit(Op::add, NoAttrs{}, {v, x}, "")}, "");
    const ValueId seed = g.add_constant("seed", {2, 2}, {1, 2, 3, 4});
    differentiate(g, {{v, seed}}, {x});
    return g.text();
  };
  CHECK(text() == text());
}

TEST_CASE("operators without a gradient are named") {
  Graph g = double_graph();
  const ValueId w = add_parameter(g, "w", {3, 2}, 1);
  const ValueId indices = g.add_index_constant("indices", {2, 0});
  const ValueId rows = g.emit(Op::gather, AxisAttrs{0}, {w, indices}, "rows");
  const ValueId y = g.emit(Op::tanh, NoAttrs{}, {rows}, "y");
  const ValueId seed = g.add_constant("seed", {2, 2}, {1, 2, 3, 4});
  CHECK(missing_gradients(g, y, {w}) == std::vector<std::string>{"rows (gather)"});
  CHECK(missing_gradients(g, y, {rows}).empty());
  CHECK(missing_gradients(g, y, {indices}).empty());
  CHECK(error_of([&] {
          differentiate(g, {{y, seed}}, {w});
        }) == "no gradient through rows (gather)");
}

TEST_CASE("gradients of frozen statistics and seeds of another shape are refused") {
  Graph g = double_graph();
  const ValueId x = g.add_constant("x", {2, 2}, {1, 2, 3, 4});
  std::vector<ValueId> inputs = {x};
  for (const char* name : {"gamma", "beta", "mean", "var"})
    inputs.push_back(add_parameter(g, name, {2}, {1, 2}));
  const ValueId y = g.emit(Op::batch_norm, BatchNormAttrs{}, inputs, "bn");
  CHECK(error_of([&] {
          differentiate(g, {{y, x}}, {inputs[3]});
        }) == "batch_norm 'bn' has no gradient with respect to 'mean'");
  CHECK(error_of([&] {
          differentiate(g, {{y, inputs[1]}}, {inputs[2]});
        }) == "the gradient of 'bn' is f64[2], not f64[2,2]");
}

}  // namespace attune::test
