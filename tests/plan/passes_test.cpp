#include "graph/passes/passes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/random.h"
#include "graph/ir/interpret.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

std::vector<double> numbers(int64_t count, uint64_t seed, double low = -1, double high = 1) {
  Random random(seed, 0);
  std::vector<double> result(static_cast<size_t>(count));
  for (double& x : result)
    x = low + (high - low) * static_cast<double>(random.below(10001)) / 10000;
  return result;
}

ValueId parameter(Graph& graph, const std::string& name, const Shape& shape, uint64_t seed,
                  bool trained = false, double low = -1, double high = 1) {
  Value value;
  value.name = name;
  value.dtype = graph.real;
  value.shape = shape;
  value.role = Role::parameter;
  value.trained = trained;
  value.origin.tensor = name;
  value.data = Data::of_reals(numbers(shape.elements(), seed, low, high));
  return graph.add_value(std::move(value));
}

int count(const Graph& graph, Op op) {
  return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                        [&](const Node& node) { return node.op == op; }));
}

// Outputs of both graphs from the same inputs, compared element by element.
void check_same(const Graph& before, const Graph& after, double tolerance = 1e-12) {
  after.verify();
  std::map<std::string, HostTensor> inputs;
  for (const Port& port : before.inputs) {
    const Value& value = before.value(port.value);
    inputs[port.name] =
        HostTensor::of_reals(value.dtype, value.shape, numbers(value.shape.elements(), 99, -3, 3));
  }
  const auto a = interpret(before, inputs), b = interpret(after, inputs);
  REQUIRE(before.outputs.size() == after.outputs.size());
  for (size_t o = 0; o < before.outputs.size(); ++o) {
    CAPTURE(before.outputs[o].name);
    const auto x = a[before.outputs[o].value].reals(), y = b[after.outputs[o].value].reals();
    REQUIRE(x.size() == y.size());
    double norm = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      CHECK(std::fabs(x[i] - y[i]) <= tolerance * (1 + std::fabs(x[i])));
      norm += std::fabs(x[i]);
    }
    CHECK(norm > 0);
  }
}

// x -> layer -> batch norm -> clamp, and the gradients of x and, where trained, of beta or gamma.
struct Block {
  Op op = Op::conv2d;
  bool bias = false;
  bool train_weight = false, train_gamma = false, train_beta = false;
  bool backward = true;
  bool second_reader = false;  // of the layer's output
};

Graph block_graph(const Block& block) {
  Graph graph;
  graph.real = DType::f64;
  const Shape x_shape = block.op == Op::linear ? Shape{4, 3} : Shape{2, 5, 5, 3};
  const int32_t channels = block.op == Op::depthwise_conv2d ? 3 : 4;
  const Shape w_shape = block.op == Op::linear             ? Shape{4, 3}
                        : block.op == Op::depthwise_conv2d ? Shape{3, 3, 3}
                                                           : Shape{4, 3, 3, 3};
  AnyAttrs attrs = default_attrs(block.op);
  if (block.op != Op::linear) {
    auto& conv = std::get<Conv2dAttrs>(attrs);
    conv.pad_top = conv.pad_bottom = 1;
    if (block.op == Op::depthwise_conv2d) conv.groups = 3;
  }
  const ValueId x = graph.add_input("x", DType::f64, x_shape);
  const ValueId w = parameter(graph, "w", w_shape, 1, block.train_weight);
  std::vector<ValueId> inputs = {x, w};
  const Shape vector{channels};
  if (block.bias) inputs.push_back(parameter(graph, "b", vector, 2));
  const ValueId y = graph.emit(block.op, attrs, inputs, "layer");
  const ValueId gamma = parameter(graph, "gamma", vector, 3, block.train_gamma, 0.5, 1.5);
  const ValueId beta = parameter(graph, "beta", vector, 4, block.train_beta);
  const ValueId mean = graph.add_constant("mean", vector, numbers(channels, 5));
  const ValueId var = graph.add_constant("var", vector, numbers(channels, 6, 0.5, 2));
  const BatchNormAttrs norm{.epsilon = 1e-3};
  const ValueId z = graph.emit(Op::batch_norm, norm, {y, gamma, beta, mean, var}, "norm");
  const ValueId clamped = graph.emit(Op::clamp, ClampAttrs{.min = 0, .max = 1.5}, {z}, "clamp");
  graph.outputs.push_back({"y", clamped});
  if (block.second_reader)
    graph.outputs.push_back({"other", graph.emit(Op::tanh, NoAttrs{}, {y}, "other")});
  if (!block.backward) return graph;
  const ValueId mask =
      graph.want_output(*std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                      [](const Node& node) { return node.op == Op::clamp; }),
                        1);
  const ValueId seed = graph.add_input("dy", DType::f64, graph.shape(clamped));
  const ValueId dz = graph.emit(Op::mask_grad, NoAttrs{}, {seed, mask}, "dz");
  const ValueId dy = graph.emit(Op::batch_norm_grad_input, norm, {dz, gamma, var}, "norm/grad");
  ValueId dx;
  if (block.op == Op::linear) {
    dx = graph.emit(Op::matmul, MatmulAttrs{}, {dy, w}, "dx");
  } else {
    auto grad = std::get<Conv2dAttrs>(attrs);
    grad.input_h = grad.input_w = 5;
    dx =
        graph.emit(block.op == Op::conv2d ? Op::conv2d_grad_input : Op::depthwise_conv2d_grad_input,
                   grad, {dy, w}, "dx");
  }
  graph.outputs.push_back({"dx", dx});
  if (block.train_gamma)
    graph.outputs.push_back(
        {"dgamma", graph.emit(Op::batch_norm_grad_gamma, norm, {y, dz, mean, var}, "dgamma")});
  return graph;
}

TEST_CASE("batch norm folds into frozen layers, and the backward pass with it") {
  for (const Op op : {Op::conv2d, Op::depthwise_conv2d, Op::linear})
    for (const bool bias : {false, true})
      for (const bool train_beta : {false, true}) {
        CAPTURE(op_name(op));
        CAPTURE(bias);
        CAPTURE(train_beta);
        const Graph before = block_graph({.op = op, .bias = bias, .train_beta = train_beta});
        Graph after = before;
        fold_batch_norm(after);
        CHECK(count(after, Op::batch_norm) == 0);
        CHECK(count(after, Op::batch_norm_grad_input) == 0);
        // The folded weight is the old one's bytes, times factors.
        for (const Value& value : after.values)
          for (const Value& old : before.values)
            if (value.name == old.name + ".folded") CHECK(value.data->bytes() == old.data->bytes());
        // A trained beta stays visible: it is added to what the rest folds to.
        CHECK(count(after, Op::add) == (train_beta ? 1 : 0));
        check_same(before, after);
        remove_dead(after);
        fuse_clamp(after);
        CHECK(count(after, Op::clamp) == 0);
        check_same(before, after);
      }
}

TEST_CASE("batch norms fold in whatever order they come") {
  Graph before;
  before.real = DType::f64;
  const ValueId x = before.add_input("x", DType::f64, {4, 3});
  const Shape vector{5};
  const ValueId w = parameter(before, "w", {5, 3}, 1), v = parameter(before, "v", {5, 3}, 2);
  const ValueId first = before.emit(Op::linear, LinearAttrs{}, {x, w}, "first");
  const ValueId second = before.emit(Op::linear, LinearAttrs{}, {x, v}, "second");
  for (const ValueId y : {second, first}) {
    const std::string name = before.value(y).name + "/norm";
    const ValueId gamma = parameter(before, name + ".gamma", vector, 3, false, 0.5, 1.5);
    const ValueId beta = parameter(before, name + ".beta", vector, 4, true);
    const ValueId mean = before.add_constant(name + ".mean", vector, numbers(5, 5));
    const ValueId var = before.add_constant(name + ".var", vector, numbers(5, 6, 0.5, 2));
    before.outputs.push_back(
        {name, before.emit(Op::batch_norm, BatchNormAttrs{}, {y, gamma, beta, mean, var}, name)});
  }
  Graph after = before;
  fold_batch_norm(after);
  CHECK(count(after, Op::batch_norm) == 0);
  check_same(before, after);
}

TEST_CASE("batch norm stays where something that it would fold is trained or read") {
  for (const Block& block :
       {Block{.train_weight = true}, Block{.train_gamma = true}, Block{.second_reader = true}}) {
    const Graph before = block_graph(block);
    Graph after = before;
    fold_batch_norm(after);
    CHECK(count(after, Op::batch_norm) == 1);
    CHECK(count(after, Op::batch_norm_grad_input) == 1);
    check_same(before, after, 0);
  }
}

TEST_CASE("a masked gradient is summed where it is written") {
  Graph graph;
  graph.real = DType::f64;
  const ValueId dy = graph.add_input("dy", DType::f64, {2, 3, 1, 5});
  const ValueId x = graph.add_input("x", DType::f64, {2, 3, 1, 5});
  const ValueId y = graph.emit(Op::clamp, ClampAttrs{.min = -0.5, .max = 0.75}, {x}, "clamp");
  const ValueId mask = graph.want_output(graph.nodes.back(), 1);
  const ValueId dx = graph.emit(Op::mask_grad, NoAttrs{}, {dy, mask}, "dx");
  graph.outputs = {{"y", y}, {"dx", dx}};
  const auto reduce = [&](int axes, bool mean) {
    ReduceAttrs attrs;
    attrs.axes = axes, attrs.mean = mean;
    graph.outputs.push_back({"sum", graph.emit(Op::reduce, attrs, {dx}, "sum")});
  };
  int left = 0;
  // An axis of size 1 need not be among those summed.
  SUBCASE("over all axes but the last") { reduce(0b0111, false); }
  SUBCASE("over those that have elements") { reduce(0b0011, false); }
  SUBCASE("not over the last") { reduce(0b1111, false), left = 1; }
  SUBCASE("not over some of them") { reduce(0b0001, false), left = 1; }
  SUBCASE("not a mean") { reduce(0b0111, true), left = 1; }
  SUBCASE("once") {
    reduce(0b0111, false);
    graph.outputs.push_back({"more", graph.outputs.back().value});
  }
  const Graph before = graph;
  fuse_bias_gradient(graph);
  CHECK(count(graph, Op::reduce) == left);
  check_same(before, graph, 0);
  const std::string text = graph.text();
  fuse_bias_gradient(graph);
  CHECK(graph.text() == text);
}

TEST_CASE("the gradient of an input is masked where it is written") {
  Graph graph;
  graph.real = DType::f64;
  const ValueId x = graph.add_input("x", DType::f64, {1, 4, 4, 3});
  const ValueId dy = graph.add_input("dy", DType::f64, {1, 2, 2, 5});
  const ValueId w = parameter(graph, "w", {5, 3, 3, 3}, 1);
  const ValueId y = graph.emit(Op::clamp, ClampAttrs{.min = -0.5, .max = 0.75}, {x}, "clamp");
  const ValueId mask = graph.want_output(graph.nodes.back(), 1);
  Conv2dAttrs attrs;
  attrs.stride_h = attrs.stride_w = 2;
  attrs.pad_top = attrs.pad_left = attrs.pad_bottom = attrs.pad_right = 1;
  attrs.input_h = attrs.input_w = 4;
  const ValueId dz = graph.emit(Op::conv2d_grad_input, attrs, {dy, w}, "dz");
  const ValueId dx = graph.emit(Op::mask_grad, NoAttrs{}, {dz, mask}, "dx");
  graph.outputs = {{"y", y}, {"dx", dx}};
  const auto sum = [&] {
    ReduceAttrs all_but_channels;
    all_but_channels.axes = 0b0111;
    graph.outputs.push_back({"sum", graph.emit(Op::reduce, all_but_channels, {dx}, "sum")});
  };
  int left = 0;
  SUBCASE("alone") {}
  SUBCASE("with the sum for a bias") { sum(); }
  SUBCASE("not where the whole gradient is an output") {
    graph.outputs.push_back({"dz", dz}), left = 1;
  }
  SUBCASE("not where somebody else reads the whole gradient") {
    graph.outputs.push_back({"t", graph.emit(Op::tanh, NoAttrs{}, {dz}, "t")}), left = 1;
  }
  SUBCASE("the second of two masks stays") {
    graph.outputs[1].value = graph.emit(Op::mask_grad, NoAttrs{}, {dx, mask}, "again"), left = 1;
  }
  const Graph before = graph;
  fuse_bias_gradient(graph);
  fuse_mask_grad(graph);
  CHECK(count(graph, Op::mask_grad) == left);
  CHECK(count(graph, Op::reduce) == 0);
  check_same(before, graph, 0);
  const std::string text = graph.text();
  fuse_mask_grad(graph);
  CHECK(graph.text() == text);
}

TEST_CASE("a layer takes over the clamp that alone reads it, mask included") {
  Graph graph;
  graph.real = DType::f64;
  const ValueId x = graph.add_input("x", DType::f64, {2, 3});
  const ValueId w = parameter(graph, "w", {4, 3}, 1);
  const ValueId y = graph.emit(Op::linear, LinearAttrs{}, {x, w}, "layer");
  const ValueId z = graph.emit(Op::clamp, ClampAttrs{.min = -0.5, .max = 0.75}, {y}, "clamp");
  const ValueId mask = graph.want_output(graph.nodes.back(), 1);
  const ValueId dy = graph.add_input("dy", DType::f64, {2, 4});
  graph.outputs = {{"z", z}, {"dz", graph.emit(Op::mask_grad, NoAttrs{}, {dy, mask}, "dz")}};
  const Graph before = graph;
  SUBCASE("alone") {
    fuse_clamp(graph);
    REQUIRE(graph.nodes.size() == 2);
    CHECK(graph.nodes[0].as<LinearAttrs>().clamp_min == -0.5);
    CHECK(graph.nodes[0].as<LinearAttrs>().clamp_max == 0.75);
    CHECK(graph.nodes[0].outputs == std::vector<ValueId>{z, mask});
    check_same(before, graph, 0);
    // A second time there is nothing left to do.
    const std::string text = graph.text();
    fuse_clamp(graph);
    CHECK(graph.text() == text);
  }
  SUBCASE("not where the unclamped values are an output") {
    graph.outputs.push_back({"y", y});
    fuse_clamp(graph);
    CHECK(count(graph, Op::clamp) == 1);
  }
  SUBCASE("not where somebody else reads the unclamped values") {
    graph.outputs.push_back({"t", graph.emit(Op::tanh, NoAttrs{}, {y}, "t")});
    fuse_clamp(graph);
    CHECK(count(graph, Op::clamp) == 1);
  }
  SUBCASE("the second of two clamps stays") {
    const ValueId again = graph.emit(Op::clamp, ClampAttrs{.min = 0, .max = 0.5}, {z}, "again");
    graph.outputs = {{"again", again}};
    Graph plain = graph;
    fuse_clamp(graph);
    CHECK(count(graph, Op::clamp) == 1);
    check_same(plain, graph, 0);
  }
}

TEST_CASE("byte images are normalized to what the model's own input would be") {
  for (const bool planes : {false, true}) {
    Graph before;
    before.real = DType::f64;
    const ValueId x = before.add_input("x", DType::f64, {2, 3, 4, 5});
    TransposeAttrs to_image;
    to_image.perm[1] = 2, to_image.perm[2] = 3, to_image.perm[3] = 1;
    const ValueId image = before.emit(Op::transpose, to_image, {x}, "image");
    before.outputs = {{"image", before.emit(Op::tanh, NoAttrs{}, {image}, "y")}};
    // Somebody may want the planes as the model has them.
    if (planes) before.outputs.push_back({"planes", before.emit(Op::tanh, NoAttrs{}, {x}, "p")});
    Graph after = before;
    const std::vector<double> scale = {0.01, 0.02, 0.03}, offset = {-1, 0, 0.5};
    take_byte_images(after, {4, 5, 3}, scale, offset);
    after.verify();
    CHECK(count(after, Op::transpose) == (planes ? 1 : 0));

    std::vector<int64_t> bytes(2 * 4 * 5 * 3);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<int64_t>(i * 89 % 256);
    std::vector<double> normalized(bytes.size());
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t at = 0; at < 20; ++at)
        for (int64_t c = 0; c < 3; ++c)
          normalized[static_cast<size_t>((n * 3 + c) * 20 + at)] =
              static_cast<double>(bytes[static_cast<size_t>((n * 20 + at) * 3 + c)]) *
                  scale[static_cast<size_t>(c)] +
              offset[static_cast<size_t>(c)];
    const auto a =
        interpret(before, {{"x", HostTensor::of_reals(DType::f64, {2, 3, 4, 5}, normalized)}});
    const auto b = interpret(after, {{"x", HostTensor::of_ints(DType::u8, {2, 4, 5, 3}, bytes)}});
    for (size_t o = 0; o < before.outputs.size(); ++o) {
      const auto p = a[before.outputs[o].value].reals(), q = b[after.outputs[o].value].reals();
      REQUIRE(p.size() == q.size());
      for (size_t i = 0; i < p.size(); ++i) CHECK(std::fabs(p[i] - q[i]) < 1e-15);
    }
  }
  Graph other;
  other.add_input("x", DType::f32, {2, 4, 4, 3});
  CHECK(contains(error_of([&] {
                   take_byte_images(other, {4, 5, 3}, {1, 1, 1}, {0, 0, 0});
                 }),
                 "which no images [4,5,3] make"));
}

TEST_CASE("byte images are normalized for models that take pixels in their own order") {
  for (const Shape& shape : {Shape{2, 4, 5, 3}, Shape{2, 4, 5, 1}, Shape{2, 4, 5}, Shape{2, 20}}) {
    const int32_t channels = shape.elements() == 2 * 20 ? 1 : 3;
    CAPTURE(shape_text(shape));
    Graph before;
    before.real = DType::f64;
    const ValueId x = before.add_input("x", DType::f64, shape);
    before.outputs = {{"y", before.emit(Op::tanh, NoAttrs{}, {x}, "y")}};
    Graph after = before;
    const std::vector<double> scale(static_cast<size_t>(channels), 1 / 255.0),
        offset(static_cast<size_t>(channels), -0.5);
    take_byte_images(after, {4, 5, channels}, scale, offset);
    after.verify();
    CHECK(count(after, Op::transpose) == 0);
    CHECK(count(after, Op::reshape) == (shape.rank == 4 ? 0 : 1));
    std::vector<int64_t> bytes(static_cast<size_t>(shape.elements()));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<int64_t>(i * 89 % 256);
    const auto y =
        interpret(after, {{"x", HostTensor::of_ints(DType::u8, {2, 4, 5, channels}, bytes)}});
    const auto reals = y[after.output("y")].reals();
    REQUIRE(reals.size() == bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i)
      CHECK(std::fabs(reals[i] - std::tanh(static_cast<double>(bytes[i]) / 255 - 0.5)) < 1e-15);
  }
}

TEST_CASE("how images lie in an input is told by its shape") {
  CHECK(image_order({7, 3, 8, 9}, {8, 9, 3}) == ImageOrder::planes);
  CHECK(image_order({7, 8, 9, 3}, {8, 9, 3}) == ImageOrder::pixels);
  CHECK(image_order({7, 3, 3, 3}, {3, 3, 3}) == ImageOrder::planes);  // as most models are
  CHECK(image_order({7, 1, 8, 9}, {8, 9, 1}) == ImageOrder::planes);
  CHECK(image_order({7, 8, 9, 1}, {8, 9, 1}) == ImageOrder::pixels);
  CHECK(image_order({7, 72}, {8, 9, 1}) == ImageOrder::pixels);
  CHECK(image_order({7, 216}, {8, 9, 3}) == ImageOrder::none);  // in either order
  CHECK(image_order({7, 9, 8, 3}, {8, 9, 3}) == ImageOrder::none);
  CHECK(image_order({7}, {8, 9, 1}) == ImageOrder::none);
}

TEST_CASE("scheduling computes the same and needs no more memory") {
  for (const bool second : {false, true}) {
    Graph before = block_graph({.train_gamma = true, .second_reader = second});
    // Updates wait for the last reader of the old value.
    const ValueId lr = before.add_input("learning_rate", DType::f64, {1});
    const ValueId gamma = before.nodes[1].inputs[1];
    REQUIRE(before.value(gamma).role == Role::parameter);
    before.outputs.push_back(
        {"gamma",
         before.emit(Op::sgd, SgdAttrs{}, {gamma, before.output("dgamma"), lr}, "update")});
    Graph after = before;
    schedule(after);
    CHECK(after.nodes.size() == before.nodes.size());
    check_same(before, after, 0);
  }
}

}  // namespace
}  // namespace attune::test
