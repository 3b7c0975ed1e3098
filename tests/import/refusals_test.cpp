// A file that cannot be used is refused for the true reason.
#include <doctest/doctest.h>

#include "graph/import/model.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

using namespace std::string_literals;

std::string of_bytes(const std::string& bytes) {
  return error_of([&] { parse_model(bytes, "m.onnx"); });
}

OnnxBuilder gemm(const std::vector<int64_t>& dims, int opset = 17) {
  OnnxBuilder b(opset);
  b.input("x", dims).output("y").tensor("w", {4, 3}).node("Gemm", {"x", "w"}, {"y"});
  return b;
}

std::string of_model(const OnnxBuilder& b) {
  return error_of([&] { b.import(); });
}

TEST_CASE("a file that is no ONNX model is called what it is") {
  const std::string some(100, '\0');
  CHECK(contains(
      of_bytes("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n"),
      "m.onnx: not an ONNX model but a pointer of Git LFS; get the model itself: git lfs"));
  CHECK(contains(of_bytes("<!DOCTYPE html>\n<html></html>"), "a web page in place of a download"));
  CHECK(contains(of_bytes("PK\x03\x04"s + some), "a PyTorch file; load it in Python"));
  CHECK(contains(of_bytes("\x80\x02\x8a\nl"s + some), "a PyTorch file"));
  CHECK(contains(of_bytes("\x89HDF\r\n\x1a\n"s + some), "a Keras or HDF5 file"));
  CHECK(contains(of_bytes("@\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\"}}"s), "a file of weights"));
  CHECK(contains(of_bytes("\x1f\x8b\x08"s + some), "compressed by gzip"));
  CHECK(contains(of_bytes("ATTUNEPL\x02"s + some), "a plan of Attune"));
  CHECK(contains(of_bytes(""), "it is empty"));
  const std::string bytes = gemm({-1, 4}).bytes();
  CHECK(contains(of_bytes(bytes.substr(0, bytes.size() - 3)), "is it all there?"));
}

TEST_CASE("an opset says in which direction it is out of range") {
  CHECK(contains(of_model(gemm({-1, 4}, 6)), "opset 6 is too old; export the model with an opset"));
  CHECK(contains(of_model(gemm({-1, 4}, 99)), "opset 99 is too new; export the model with an"));
}

TEST_CASE("an axis of size 0 is told from one of unknown size, which has its name") {
  CHECK(contains(of_model(gemm({-1, 0})), "input 'x': axis 1 has size 0, so there is nothing"));
  OnnxBuilder named = gemm({-1, 4});
  named.proto()
      .mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_param("features");
  CHECK(contains(
      of_model(named),
      "the size of axis 1 ('features') is unknown; give it, for example --bind features="));
}

TEST_CASE("element types that are not supported are named") {
  OnnxBuilder narrow = gemm({-1, 4});
  auto* weight = narrow.proto().mutable_graph()->mutable_initializer(0);
  weight->set_data_type(onnx::TensorProto::BFLOAT16);
  CHECK(contains(of_model(narrow),
                 "element type 16 is not supported: it is BFLOAT16; export the model in float32"));
}

TEST_CASE("a model with its loss inside is told what to do") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).int_input("labels", {-1}).output("loss");
  b.node("SoftmaxCrossEntropyLoss", {"x", "labels"}, {"loss"});
  CHECK(contains(of_model(b), "export the model without its loss, with the scores as its first"));
}

}  // namespace
}  // namespace attune
