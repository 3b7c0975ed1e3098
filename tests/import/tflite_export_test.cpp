// TFLite files with other weights, and what else a file says of itself.
#include <doctest/doctest.h>

#include <numeric>

#include "graph/import/model.h"
#include "graph/ir/error.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/tflite_builder.h"

namespace attune {
namespace {

using tflite::BuiltinOperator;
using tflite::BuiltinOptions;

TfliteBuilder::Options fully_connected(TfliteBuilder& b) {
  return {BuiltinOptions::FullyConnectedOptions,
          tflite::CreateFullyConnectedOptions(b.builder()).Union()};
}

// x[1,5,5,2] -> a convolution -> the mean of all places -> scores[1,4], and a softmax of these.
std::string network() {
  TfliteBuilder b;
  int x = b.input({1, 5, 5, 2}, "serving_default_x:0");
  x = b.op(BuiltinOperator::CONV_2D, {x, b.weights({3, 3, 3, 2}, "conv"), b.weights({3}, "bias")},
           {BuiltinOptions::Conv2DOptions,
            tflite::CreateConv2DOptions(b.builder(), tflite::Padding::SAME, 2, 2).Union()});
  x = b.op(
      BuiltinOperator::MEAN, {x, b.ints({2}, {1, 2})},
      {BuiltinOptions::ReducerOptions, tflite::CreateReducerOptions(b.builder(), false).Union()});
  x = b.op(BuiltinOperator::FULLY_CONNECTED,
           {x, b.weights({4, 3}, "head"), b.weights({4}, "head_bias")}, fully_connected(b));
  b.output(
      b.op(BuiltinOperator::SOFTMAX, {x},
           {BuiltinOptions::SoftmaxOptions, tflite::CreateSoftmaxOptions(b.builder(), 1).Union()}));
  b.signature({"x"}, {"probabilities"});
  b.labels("flowers.txt");
  return b.bytes();
}

ModelTensor counted(const std::string& name, const std::vector<int64_t>& dims, bool fresh = false) {
  ModelTensor tensor{name, dims, {}, fresh, 0};
  tensor.reals.resize(static_cast<size_t>(
      std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>())));
  std::iota(tensor.reals.begin(), tensor.reals.end(), 0.5);
  return tensor;
}

size_t different_bytes(const std::string& a, const std::string& b) {
  size_t count = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) count += a[i] != b[i];
  return count;
}

}  // namespace

TEST_CASE("a TFLite file gets its trained weights in place, and nothing else changes") {
  const std::string bytes = network();
  const ModelPtr model = parse_model(bytes, "m.tflite");
  CHECK(model->own_format() == "tflite");
  CHECK(model->in_own_format({}, {}) == bytes);
  const ModelTensor conv = counted("conv", {3, 2, 3, 3});  // in ONNX's order
  const std::string adapted = model->in_own_format({conv}, {});
  CHECK(adapted.size() == bytes.size());
  CHECK(different_bytes(bytes, adapted) <= 4 * conv.reals.size());
  const ModelPtr again = parse_model(adapted, "adapted.tflite");
  CHECK(again->reals("conv") == conv.reals);
  CHECK(again->reals("head") == model->reals("head"));
  // What the plan's type does not tell from the old ones keeps its bits.
  ModelTensor same = conv;
  same.reals = model->reals("conv");
  CHECK(model->in_own_format({same}, {}) == bytes);
}

TEST_CASE("a fresh head of another size is added to a TFLite file, and shapes follow") {
  const ModelPtr model = parse_model(network(), "m.tflite");
  const std::string adapted =
      model->in_own_format({counted("head", {7, 3}, true), counted("head_bias", {7}, true)}, {});
  const ModelPtr again = parse_model(adapted, "adapted.tflite");
  ImportOptions two;
  two.batch = 2;
  const Graph graph = again->import(two);
  CHECK(to_dims(graph.shape(graph.outputs.at(0).value)) == std::vector<int64_t>{2, 7});
  CHECK(again->reals("head") == counted("head", {7, 3}).reals);
  CHECK(again->reals("head_bias") == counted("head_bias", {7}).reals);
  // As a reader of the file sees it that believes what it declares.
  const tflite::SubGraph& declared = *tflite::GetModel(adapted.data())->subgraphs()->Get(0);
  for (const tflite::Tensor* tensor : *declared.tensors())
    if (tensor->name()->str().starts_with("head")) CHECK(tensor->shape()->Get(0) == 7);
}

TEST_CASE("what a TFLite file cannot hold is refused with what to do") {
  TfliteBuilder b;
  const int x = b.input({1, 3});
  const int w = b.int8({2, 3}, "w", {1, 2, 3, 4, 5, 6}, {0.5f, 0.25f}, {0, 0});
  const int y = b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, -1}, fully_connected(b));
  const int first = b.weights({2, 2}, "first");
  b.share(first);
  const int second = b.weights({2, 2}, "second");
  const int z = b.op(BuiltinOperator::FULLY_CONNECTED, {y, first, -1}, fully_connected(b));
  b.output(b.op(BuiltinOperator::FULLY_CONNECTED, {z, second, -1}, fully_connected(b)));
  const ModelPtr model = parse_model(b.bytes(), "m.tflite");
  CHECK(model->reals("w") == std::vector<double>{0.5, 1, 1.5, 1, 1.25, 1.5});
  CHECK(
      contains(error_of([&] {
                 model->in_own_format({counted("w", {2, 3})}, {});
               }),
               "'w' is of INT8, and trained weights are floats; write the adapted model as .onnx"));
  ModelTensor other = counted("second", {2, 2});
  other.reals[1] = -1;
  CHECK(contains(error_of([&] {
                   model->in_own_format({counted("first", {2, 2}), other}, {});
                 }),
                 "'second' shares its bytes with another tensor"));
  CHECK(contains(error_of([&] {
                   model->in_own_format({counted("second", {3, 2}, true)}, {});
                 }),
                 "the new head's 'second' shares its bytes with 'first'"));
}

TEST_CASE("weights of halves are trained in floats and written back as halves") {
  TfliteBuilder b;
  const int x = b.input({1, 2});
  const int w = b.halves({2, 2}, "w", {0x3c00, 0x4000, 0xb800, 0x4200});  // 1, 2, -0.5, 3
  const int floats = b.op(BuiltinOperator::DEQUANTIZE, {w});
  b.output(b.op(BuiltinOperator::FULLY_CONNECTED, {x, floats, -1}, fully_connected(b)));
  const std::string bytes = b.bytes();
  const ModelPtr model = parse_model(bytes, "m.tflite");
  const Graph graph = model->import({});
  const auto weight = std::find_if(graph.values.begin(), graph.values.end(),
                                   [](const Value& v) { return v.role == Role::parameter; });
  REQUIRE(weight != graph.values.end());
  const std::string name = weight->origin.tensor;
  CHECK(model->reals(name) == std::vector<double>{1, 2, -0.5, 3});
  const std::string adapted = model->in_own_format({{name, {2, 2}, {1, 2.0005, -0.25, 3}}}, {});
  CHECK(adapted.size() == bytes.size());
  CHECK(parse_model(adapted, "again.tflite")->reals(name) == std::vector<double>{1, 2, -0.25, 3});
}

TEST_CASE("a TFLite file's signature names inputs and outputs, and its metadata the labels' file") {
  const ModelPtr model = parse_model(network(), "m.tflite");
  const Graph graph = model->import({});
  CHECK(graph.inputs.at(0).name == "x");
  CHECK(to_dims(graph.shape(graph.inputs[0].value)) == std::vector<int64_t>{1, 5, 5, 2});
  CHECK(graph.outputs.at(0).name == "probabilities");
  CHECK(model->label_file() == "flowers.txt");
}

TEST_CASE("outputs of a TFLite model have their names, whatever else has them in the translation") {
  TfliteBuilder b;
  const int x = b.input({1, 4, 4, 2}, "image");
  const int y = b.op(BuiltinOperator::RELU, {x});
  const int pads = b.ints({4, 2}, {0, 0, 1, 1, 1, 1, 0, 0});
  b.output(b.op(BuiltinOperator::PAD, {y, pads}));  // its channels-first value has the name
  b.output(y);
  b.output(x);
  const ModelPtr model = parse_model(b.bytes(), "m.tflite");
  const Graph graph = model->import({});
  REQUIRE(graph.outputs.size() == 3);
  CHECK(graph.outputs[0].name == "t3");
  CHECK(to_dims(graph.shape(graph.outputs[0].value)) == std::vector<int64_t>{1, 6, 6, 2});
  CHECK(graph.outputs[1].name == "t1");
  CHECK(graph.outputs[2].name == "image_2");
  CHECK(contains(error_of([&] {
                   TfliteBuilder constant;
                   constant.input({1, 2});
                   constant.output(constant.weights({2}, "w"));
                   parse_model(constant.bytes(), "m.tflite");
                 }),
                 "output 'w' does not depend on the model's inputs"));
}

}  // namespace attune
