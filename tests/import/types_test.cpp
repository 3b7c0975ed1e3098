// Integers and booleans that are computed: reals on the device, with ONNX's arithmetic.
#include <doctest/doctest.h>

#include "graph/ir/interpret.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

constexpr int kInt8 = 3, kInt64 = 7, kBool = 9, kFloat = 1, kUint8 = 2;

// The output "y" of a model with one input of six integers.
std::vector<double> of_ints(OnnxBuilder& b, const std::vector<int64_t>& x, DType real) {
  const Graph graph = b.import({.real = real, .batch = 6, .input_shapes = {}});
  graph.verify();
  return interpret(graph, {{"x", HostTensor::of_ints(DType::i32, {6}, x)}})[graph.output("y")]
      .reals();
}

void set_type(OnnxBuilder& b, int input, int type) {
  b.proto()
      .mutable_graph()
      ->mutable_input(input)
      ->mutable_type()
      ->mutable_tensor_type()
      ->set_elem_type(type);
}

const std::vector<int64_t> kSix = {-7, -1, 0, 5, 7, 200};

}  // namespace

TEST_CASE("integers divide towards zero, and become floats by a cast") {
  for (const DType real : {DType::f32, DType::f64}) {
    OnnxBuilder whole;
    whole.int_input("x", {-1}).output("y").ints("two", {2});
    whole.node("Div", {"x", "two"}, {"y"});
    CHECK(of_ints(whole, kSix, real) == std::vector<double>{-3, 0, 0, 2, 3, 100});
    OnnxBuilder parts;
    parts.int_input("x", {-1}).output("y").tensor("two", {}, 2);
    set_int(parts.node("Cast", {"x"}, {"f"}), "to", kFloat);
    parts.node("Div", {"f", "two"}, {"y"});
    CHECK(of_ints(parts, kSix, real) == std::vector<double>{-3.5, -0.5, 0, 2.5, 3.5, 100});
    // Through operators that arrange, an integer stays one.
    OnnxBuilder arranged;
    arranged.int_input("x", {-1}).output("y").ints("two", {2}).ints("shape", {2, 3});
    arranged.ints("back", {6});
    arranged.node("Reshape", {"x", "shape"}, {"r"});
    arranged.node("Transpose", {"r"}, {"t"});
    arranged.node("Transpose", {"t"}, {"u"});
    arranged.node("Reshape", {"u", "back"}, {"v"});
    arranged.node("Div", {"v", "two"}, {"y"});
    CHECK(of_ints(arranged, kSix, real) == std::vector<double>{-3, 0, 0, 2, 3, 100});
  }
}

TEST_CASE("casts cut fractions, wrap narrow integers and ask of a boolean whether it is 0") {
  const auto cast = [](int type, float factor) {
    OnnxBuilder b;
    b.int_input("x", {-1}).output("y").tensor("factor", {}, factor);
    set_int(b.node("Cast", {"x"}, {"f"}), "to", kFloat);
    b.node("Mul", {"f", "factor"}, {"g"});
    set_int(b.node("Cast", {"g"}, {"y"}), "to", type);
    return of_ints(b, kSix, DType::f32);
  };
  CHECK(cast(kInt64, 0.25f) == std::vector<double>{-1, 0, 0, 1, 1, 50});
  CHECK(cast(kBool, 0.25f) == std::vector<double>{1, 1, 0, 1, 1, 1});
  const auto narrow = [](int type) {
    OnnxBuilder b;
    b.int_input("x", {-1}).output("y");
    set_int(b.node("Cast", {"x"}, {"y"}), "to", type);
    return of_ints(b, kSix, DType::f32);
  };
  CHECK(narrow(kUint8) == std::vector<double>{249, 255, 0, 5, 7, 200});
  CHECK(narrow(kInt8) == std::vector<double>{-7, -1, 0, 5, 7, -56});
  CHECK(narrow(kBool) == std::vector<double>{1, 1, 0, 1, 1, 1});
}

TEST_CASE("inputs of booleans and of bytes are numbers of a model") {
  OnnxBuilder mask;
  mask.int_input("x", {-1}).output("y").tensor("ten", {}, 10);
  set_type(mask, 0, kBool);
  set_int(mask.node("Cast", {"x"}, {"f"}), "to", kFloat);
  mask.node("Mul", {"f", "ten"}, {"y"});
  CHECK(of_ints(mask, {0, 1, 1, 0, 0, 1}, DType::f32) == std::vector<double>{0, 10, 10, 0, 0, 10});

  OnnxBuilder bytes;
  bytes.int_input("x", {-1, 3}).output("y").tensor("half", {}, 0.5f);
  set_type(bytes, 0, kUint8);
  set_int(bytes.node("Cast", {"x"}, {"f"}), "to", kFloat);
  bytes.node("Mul", {"f", "half"}, {"y"});
  const Graph graph = bytes.import({.real = DType::f32, .batch = 2, .input_shapes = {}});
  graph.verify();
  const auto values =
      interpret(graph, {{"x", HostTensor::of_ints(DType::u8, {2, 3}, {0, 1, 2, 3, 4, 255})}});
  CHECK(values[graph.output("y")].reals() == std::vector<double>{0, 0.5, 1, 1.5, 2, 127.5});
}

TEST_CASE("computed ids take rows") {
  OnnxBuilder b;
  b.int_input("x", {-1}).output("y").ints("two", {2}).tensor("table", {4, 1}, 10, 1);
  b.node("Div", {"x", "two"}, {"half"});
  b.node("Gather", {"table", "half"}, {"y"});
  CHECK(of_ints(b, {0, 1, 2, 3, 6, 7}, DType::f32) == std::vector<double>{10, 10, 11, 11, 13, 13});
}

}  // namespace attune
