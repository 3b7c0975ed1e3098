// What is a parameter of a model, and what a constant that belongs to it.
#include <doctest/doctest.h>
#include <google/protobuf/unknown_field_set.h>

#include <limits>
#include <set>

#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/ir/interpret.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

using Names = std::set<std::string>;

Names parameters(const OnnxBuilder& b) {
  Names names;
  const Graph graph = b.import();
  graph.verify();
  for (const Value& value : graph.values)
    if (value.role == Role::parameter) names.insert(value.origin.tensor);
  return names;
}

// As a file of PyTorch says it: metadata (field 4) of the value that has the tensor's name. Older
// versions of ONNX's library have no such field, and keep it as an unknown one.
void mark(OnnxBuilder& b, const std::string& tensor, const std::string& kind) {
  onnx::StringStringEntryProto entry;
  entry.set_key("pkg.torch.export.graph_signature.InputSpec.kind");
  entry.set_value(kind);
  auto* info = b.proto().mutable_graph()->add_value_info();
  info->set_name(tensor);
  const std::string text = entry.SerializeAsString();
  std::string field = {'\x22', static_cast<char>(0x80 | (text.size() & 0x7f)),
                       static_cast<char>(text.size() >> 7)};
  REQUIRE(info->ParseFromString(info->SerializeAsString() + field + text));
}

ImportOptions of_batch(int batch) {
  ImportOptions options;
  options.batch = batch;
  return options;
}

void constant_node(OnnxBuilder& b, const std::string& name, const std::vector<int64_t>& dims) {
  b.tensor(name, dims);
  auto& graph = *b.proto().mutable_graph();
  const onnx::TensorProto tensor = graph.initializer(graph.initializer_size() - 1);
  graph.mutable_initializer()->RemoveLast();
  auto* attribute = b.node("Constant", {}, {name}).add_attribute();
  attribute->set_name("value");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  *attribute->mutable_t() = tensor;
}

void bools(OnnxBuilder& b, const std::string& name, const std::vector<bool>& values) {
  auto* tensor = b.proto().mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::BOOL);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (const bool value : values) tensor->add_int32_data(value);
}

}  // namespace

TEST_CASE("a number that a model learnt is a parameter, numbers that exporters make are not") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("w", {4, 4}).tensor("temperature", {}, 2.5f).tensor("gain", {1}, 0.5f);
  b.tensor("/Constant_3_output_0", {}, 2).tensor("scale/x:0", {}, 3).tensor("val_12", {}, 4);
  set_int(b.node("Gemm", {"x", "w"}, {"a"}), "transB", 1);
  b.node("Mul", {"a", "temperature"}, {"c"});
  b.node("Div", {"c", "gain"}, {"d"});
  b.node("Mul", {"d", "/Constant_3_output_0"}, {"e"});
  b.node("Add", {"e", "scale/x:0"}, {"f"});
  b.node("Mul", {"f", "val_12"}, {"y"});
  CHECK(parameters(b) == Names{"w", "temperature", "gain"});
}

TEST_CASE("constants that an exporter folded are not trained, but weights among them are") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("val_7", {1, 4}).tensor("val_9", {4, 3}).tensor("fc.bias", {3});
  b.node("Relu", {"x"}, {"r"});
  b.node("Mul", {"r", "val_7"}, {"a"});
  b.node("MatMul", {"a", "val_9"}, {"c"});
  b.node("Add", {"c", "fc.bias"}, {"y"});
  CHECK(parameters(b) == Names{"val_9", "fc.bias"});
}

TEST_CASE("parameters that stand as Constant nodes are trained, and can be written back") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  constant_node(b, "fc.weight", {3, 4});
  constant_node(b, "/Constant_output_0", {3});
  constant_node(b, "shift", {3});
  constant_node(b, "/Constant_1_output_0", {3});
  set_int(b.node("Gemm", {"x", "fc.weight", "/Constant_output_0"}, {"a"}), "transB", 1);
  b.node("Add", {"a", "shift"}, {"c"});
  b.node("Add", {"c", "/Constant_1_output_0"}, {"y"});
  CHECK(parameters(b) == Names{"fc.weight", "/Constant_output_0", "shift"});
  const OnnxModel model = b.model();
  CHECK(model.reals("shift").size() == 3);
  const std::string bytes = model.with_tensors({{"shift", {3}, {7, 8, 9}}}, {});
  CHECK(OnnxModel::parse(bytes, "again.onnx").reals("shift") == std::vector<double>{7, 8, 9});
}

TEST_CASE("a weight that is computed from an exporter's constants is a constant, as it was") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  constant_node(b, "/Constant_output_0", {3, 4});
  constant_node(b, "/Constant_1_output_0", {1});
  b.node("Mul", {"/Constant_output_0", "/Constant_1_output_0"}, {"w"});
  set_int(b.node("Gemm", {"x", "w"}, {"y"}), "transB", 1);
  CHECK(parameters(b).empty());
}

TEST_CASE("what PyTorch says of its tensors counts, whatever their use") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("filters", {4, 4}).tensor("w", {4, 4}).tensor("val_2", {4, 4});
  b.tensor("offset", {4}).tensor("table", {4}).tensor("mean", {4}).tensor("two", {}, 2);
  for (const char* name : {"w", "offset", "mean"}) mark(b, name, "PARAMETER");
  mark(b, "filters", "BUFFER");
  mark(b, "table", "CONSTANT_TENSOR");
  b.node("Sub", {"x", "mean"}, {"x1"});
  b.node("MatMul", {"x1", "filters"}, {"a"});
  b.node("MatMul", {"a", "w"}, {"c"});
  b.node("MatMul", {"c", "val_2"}, {"d"});  // a transposed weight, say
  b.node("Add", {"d", "offset"}, {"e"});
  b.node("Add", {"e", "table"}, {"f"});
  b.node("Mul", {"f", "two"}, {"y"});  // not marked, so not the user's
  CHECK(parameters(b) == Names{"w", "offset", "mean", "val_2"});
}

TEST_CASE("what normalises an input is no parameter, what is learnt of an input is one") {
  OnnxBuilder b;
  b.input("x", {-1, 3, 4, 4}).output("y");
  b.tensor("mean", {1, 3, 1, 1}).tensor("std", {1, 3, 1, 1}, 0.2f).tensor("half", {}, 0.5f);
  b.tensor("inverse", {3, 1, 1}).tensor("w", {2, 3, 1, 1}).tensor("later", {1, 2, 1, 1});
  b.node("Mul", {"x", "half"}, {"a"});
  b.node("Sub", {"a", "mean"}, {"c"});
  b.node("Div", {"c", "std"}, {"d"});
  b.node("Identity", {"d"}, {"d1"});
  b.node("Mul", {"d1", "inverse"}, {"e"});
  b.node("Conv", {"e", "w"}, {"f"});
  b.node("Sub", {"f", "later"}, {"y"});
  CHECK(parameters(b) == Names{"w", "later"});

  OnnxBuilder places;
  places.input("x", {-1, 5, 4}).output("y");
  places.tensor("positions", {1, 5, 4}).tensor("w", {4, 4});
  places.node("Add", {"x", "positions"}, {"a"});
  places.node("MatMul", {"a", "w"}, {"y"});
  CHECK(parameters(places) == Names{"positions", "w"});
}

TEST_CASE("what keeps a square root away from zero is no parameter") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("w", {4, 4}).tensor("eps", {}, 1e-5f);
  b.node("MatMul", {"x", "w"}, {"a"});
  b.node("Mul", {"a", "a"}, {"c"});
  b.node("Add", {"c", "eps"}, {"d"});
  b.node("Sqrt", {"d"}, {"y"});
  CHECK(parameters(b) == Names{"w"});
}

TEST_CASE("a mask that is added is a constant") {
  for (const float off : {-std::numeric_limits<float>::infinity(), -1e9f}) {
    OnnxBuilder b;
    b.input("x", {-1, 4}).output("y");
    b.tensor("w", {4, 4}).tensor("mask", {1, 4}, 0, 0);
    auto& graph = *b.proto().mutable_graph();
    graph.mutable_initializer(1)->set_float_data(2, off);
    b.node("MatMul", {"x", "w"}, {"a"});
    b.node("Add", {"a", "mask"}, {"c"});
    b.node("Softmax", {"c"}, {"y"});
    CHECK(parameters(b) == Names{"w"});
    const Graph imported = b.import(of_batch(1));
    const std::vector<double> x = {1, 2, 3, 4};
    const auto y = interpret(
        imported, {{"x", HostTensor::of_reals(DType::f32, Shape{1, 4}, x)}})[imported.output("y")];
    CHECK(y.reals()[2] == 0);
    CHECK(y.reals()[0] > 0);
  }
}

TEST_CASE("a broken weight is still refused") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y").tensor("w", {4, 4});
  b.proto().mutable_graph()->mutable_initializer(0)->set_float_data(
      2, -std::numeric_limits<float>::infinity());
  b.node("MatMul", {"x", "w"}, {"y"});
  CHECK(contains(error_of([&] { b.import(); }), "weight 'w' holds -inf"));
}

TEST_CASE("masks that are known fold away: Expand, Tile, comparisons, logic, Where") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  bools(b, "mask", {true, true, false, true});
  bools(b, "other", {true, false, false, true});
  b.ints("four", {4}).ints("counts", {2, 1}).ints("one", {1, 4}).ints("places", {0, 1, 2, 3});
  b.ints("two", {2}).tensor("zero", {}, 0, 0).tensor("low", {}, -9, 0);
  set_int(b.node("Shape", {"x"}, {"shape"}), "end", 1);
  set_int(b.node("Concat", {"shape", "four"}, {"target"}), "axis", 0);
  b.node("Expand", {"mask", "target"}, {"m"});
  b.node("Where", {"m", "zero", "low"}, {"a"});  // low at place 2
  b.node("Add", {"x", "a"}, {"x1"});
  b.node("And", {"mask", "other"}, {"both"});
  b.node("Reshape", {"both", "one"}, {"row"});
  b.node("Tile", {"row", "counts"}, {"rows"});  // [2,4], as the batch
  b.node("Where", {"rows", "zero", "low"}, {"c"});
  b.node("Add", {"x1", "c"}, {"x2"});
  b.node("GreaterOrEqual", {"places", "two"}, {"late"});
  b.node("LessOrEqual", {"places", "two"}, {"early"});
  b.node("Xor", {"late", "early"}, {"not_two"});
  b.node("Or", {"not_two", "other"}, {"any"});
  b.node("Where", {"any", "zero", "low"}, {"d"});
  b.node("Add", {"x2", "d"}, {"y"});
  const Graph graph = b.import(of_batch(2));
  graph.verify();
  const auto y = interpret(graph, {{"x", HostTensor::zeros(DType::f32, Shape{2, 4})}});
  CHECK(y[graph.output("y")].reals() == std::vector<double>{0, -9, -27, 0, 0, -9, -27, 0});
}

TEST_CASE("Tile repeats a computed tensor") {
  OnnxBuilder b;
  b.input("x", {-1, 2}).output("y").ints("counts", {1, 3});
  b.node("Tile", {"x", "counts"}, {"y"});
  const Graph graph = b.import(of_batch(1));
  const auto y = interpret(graph, {{"x", HostTensor::of_reals(DType::f32, Shape{1, 2}, {5, 6})}});
  CHECK(y[graph.output("y")].reals() == std::vector<double>{5, 6, 5, 6, 5, 6});
}

}  // namespace attune
