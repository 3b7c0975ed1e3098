// Where inputs and outputs have the examples, sizes of named axes, and inputs that are always the
// same.
#include <doctest/doctest.h>

#include "graph/ir/interpret.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

void name_axes(onnx::ValueInfoProto* info, const std::vector<std::string>& names) {
  auto* shape = info->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->clear_dim();
  for (const std::string& name : names) {
    auto* dim = shape->add_dim();
    if (name.empty() || name[0] < '0' || name[0] > '9')
      dim->set_dim_param(name);
    else
      dim->set_dim_value(std::stoi(name));
  }
}

// x of these axes, scaled: y of the others.
OnnxBuilder scaled(const std::vector<std::string>& axes, const std::vector<std::string>& of_y = {},
                   bool ids = false) {
  OnnxBuilder b;
  const std::vector<int64_t> dims(axes.size(), -1);
  if (ids)
    b.int_input("x", dims);
  else
    b.input("x", dims);
  b.output("y").tensor("s", {3, 2}, 1.0f, 1.0f);
  if (ids)
    b.node("Gather", {"s", "x"}, {"y"});
  else
    b.node("Mul", {"x", "s"}, {"y"});
  name_axes(b.proto().mutable_graph()->mutable_input(0), axes);
  if (!of_y.empty()) name_axes(b.proto().mutable_graph()->mutable_output(0), of_y);
  return b;
}

Shape shape_of(const Graph& graph, const char* port) {
  const ValueId input = graph.input(port);
  return graph.shape(input == kNone ? graph.output(port) : input);
}

InputBindings axes(std::map<std::string, int64_t> sizes) {
  InputBindings bound;
  bound.axes = std::move(sizes);
  return bound;
}
InputBindings examples(std::map<std::string, int> batch_axes) {
  InputBindings bound;
  bound.batch_axes = std::move(batch_axes);
  return bound;
}
InputBindings constants(std::map<std::string, BoundInput> inputs) {
  InputBindings bound;
  bound.inputs = std::move(inputs);
  return bound;
}

ImportOptions batch(int size, InputBindings bound = {}) {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = size;
  options.bound = std::move(bound);
  return options;
}

}  // namespace

TEST_CASE("the axis that a model calls batch has the examples, which come first in a plan") {
  for (const char* name : {"batch", "batch_size", "Batch", "N", "B"}) {
    CAPTURE(std::string(name));
    const Graph graph =
        scaled({"time", name, "2"}, {"time", name, "2"}).import(batch(3, axes({{"time", 5}})));
    CHECK(shape_of(graph, "x") == Shape{3, 5, 2});
    CHECK(shape_of(graph, "y") == Shape{3, 5, 2});
    std::vector<double> x(30);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
    const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, {3, 5, 2}, x)}});
    const std::vector<double> y = values[graph.output("y")].reals();
    // Row n of s scales example n, as the model has these on its second axis.
    for (size_t i = 0; i < x.size(); ++i)
      CHECK(y[i] == x[i] * (1 + 2 * static_cast<double>(i / 10) + static_cast<double>(i % 2)));
  }
  // The first axis, where it is called so, where no axis is, and where a letter may be any size.
  for (const std::vector<std::string>& names : std::vector<std::vector<std::string>>{
           {"batch", "N", "2"}, {"a", "b2", "2"}, {"1", "N", "2"}, {"N", "B", "2"}}) {
    const Graph graph = scaled(names).import(batch(3, axes({{names[1], 3}})));
    CHECK(shape_of(graph, "x") == Shape{3, 3, 2});
    CHECK(count_ops(graph, Op::transpose) == 0);
  }
}

TEST_CASE("an axis of examples is what the user says") {
  const auto x = [](std::map<std::string, int> given) {
    return scaled({"4", "3", "2"}).import(batch(7, examples(std::move(given))));
  };
  CHECK(shape_of(x({{"", 0}}), "x") == Shape{7, 3, 2});
  CHECK(shape_of(x({{"x", 0}, {"", 1}}), "x") == Shape{7, 3, 2});
  // [4,1,2] of one example: y is [4,3,2].
  const Graph one = scaled({"4", "3", "2"}).import(batch(1, examples({{"x", 1}, {"y", 1}})));
  CHECK(shape_of(one, "x") == Shape{1, 4, 2});
  CHECK(shape_of(one, "y") == Shape{3, 4, 2});
  CHECK(contains(error_of([&] { x({{"x", 3}}); }), "--batch-axis 3: input 'x' has 3 axes"));
  CHECK(contains(error_of([&] { x({{"z", 1}}); }), "there is no input or output 'z'"));
}

TEST_CASE("ids have their examples on any axis, too") {
  const Graph graph = scaled({"time", "batch"}, {}, true).import(batch(2, axes({{"time", 3}})));
  CHECK(shape_of(graph, "x") == Shape{2, 3});
  const auto values =
      interpret(graph, {{"x", HostTensor::of_ints(DType::i32, {2, 3}, {0, 1, 2, 2, 2, 0})}});
  CHECK(values[graph.output("y")].reals() ==
        std::vector<double>{1, 2, 5, 6, 3, 4, 5, 6, 5, 6, 1, 2});
}

TEST_CASE("sizes of named axes are bound") {
  const OnnxBuilder b = scaled({"batch", "time", "2"});
  CHECK(shape_of(b.import(batch(2, axes({{"time", 3}}))), "x") == Shape{2, 3, 2});
  const auto error = [&](InputBindings bound) {
    return error_of([&] { b.import(batch(2, std::move(bound))); });
  };
  CHECK(contains(error({}),
                 "the size of axis 1 ('time') is unknown; give it, for example --bind time=16, or "
                 "give the shape, for example --input-shape x:2x224x2"));
  CHECK(contains(error(axes({{"seq", 3}, {"time", 3}})),
                 "no input has an axis 'seq'; names of axes are batch, time"));
  CHECK(contains(error(axes({{"batch", 3}, {"time", 3}})),
                 "--bind batch: that is the axis of examples, whose size --batch-size gives"));
  ImportOptions both = batch(2, axes({{"time", 3}}));
  both.input_shapes["x"] = {2, 4, 2};
  CHECK(contains(error_of([&] { b.import(both); }), "has size 4 in the given shape, and --bind"));
}

TEST_CASE("an input that is always the same decides shapes") {
  OnnxBuilder b;
  b.input("x", {-1, 6}).int_input("sizes", {3}).output("y");
  b.node("Reshape", {"x", "sizes"}, {"y"});
  CHECK(contains(error_of([&] { b.import(batch(2)); }), "computed from the model's inputs"));
  const Graph graph = b.import(batch(2, constants({{"sizes", {{}, {-1, 3, 2}}}})));
  CHECK(shape_of(graph, "y") == Shape{2, 3, 2});
  CHECK(graph.inputs.size() == 1);
  const auto error = [&](std::map<std::string, BoundInput> inputs) {
    return error_of([&] { b.import(batch(2, constants(std::move(inputs)))); });
  };
  CHECK(contains(error({{"sizes", {{}, {1, 2}}}}), "2 numbers for an input of shape [3]"));
  CHECK(contains(error({{"sizes", {{}, {1, 2, 0.5}}}}), "0.5 is no whole number"));
  CHECK(contains(error({{"sizes", {{1, 3}, {1, 2, 3}}}}), "shape [1,3] is not the input's"));
  CHECK(contains(error({{"z", {{}, {1}}}}), "there is no input 'z'"));

  // One number is all of them.
  OnnxBuilder mask;
  mask.input("x", {-1, 3}).input("mask", {1, 3}).output("y");
  mask.node("Mul", {"x", "mask"}, {"y"});
  const Graph masked = mask.import(batch(1, constants({{"mask", {{}, {0.5}}}})));
  const auto values =
      interpret(masked, {{"x", HostTensor::of_reals(DType::f64, {1, 3}, {2, 4, 6})}});
  CHECK(values[masked.output("y")].reals() == std::vector<double>{1, 2, 3});
}

}  // namespace attune
