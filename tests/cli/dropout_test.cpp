// Dropout and other random numbers through the command, as a user meets them.
#include <doctest/doctest.h>

#include "tests/cli/command.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// x[N,4] -> 5, half of them dropped -> logits[N,3].
OnnxBuilder network() {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("logits");
  b.tensor("hidden.weight", {5, 4}, -0.4f, 0.07f);
  set_int(b.node("Gemm", {"x", "hidden.weight"}, {"hidden"}), "transB", 1);
  b.tensor("ratio", {}, 0.5f);
  b.node("Dropout", {"hidden", "ratio"}, {"dropped"});
  b.tensor("head.weight", {3, 5}, -0.3f, 0.05f).tensor("head.bias", {3}, 0.02f, -0.01f);
  set_int(b.node("Gemm", {"dropped", "head.weight", "head.bias"}, {"logits"}), "transB", 1);
  return b;
}

constexpr const char* kTrain = "train net.att --data data.npz --quiet --learning-rate 0.05 ";

}  // namespace

TEST_CASE("dropout is kept in training alone, and a resumed run draws the same numbers") {
  const Workshop shop;
  shop.write("net.onnx", network().bytes());
  for (const char* optimizer : {"momentum", "adam"}) {
    CAPTURE(std::string(optimizer));
    const std::string compile =
        fmt::format("compile net.onnx -o net.att --scheme full --optimizer {} ", optimizer);
    REQUIRE(shop.run(compile + "--dropout keep").status == 0);
    const std::string train = kTrain;
    REQUIRE(shop.run(train + "--overwrite --epochs 4 --checkpoint whole.atc").status == 0);
    REQUIRE(shop.run(train + "--overwrite --epochs 2 --checkpoint half.atc").status == 0);
    REQUIRE(shop.run("train net.att --data data.npz --quiet --resume half.atc --checkpoint "
                     "half.atc --epochs 4")
                .status == 0);
    CHECK(shop.read("half.atc") == shop.read("whole.atc"));
    const auto kept = shop.run("evaluate net.att --data data.npz --json").json()["loss"];
    const auto verified = shop.run("verify net.att --model net.onnx");
    CHECK_MESSAGE(verified.status == 0, verified.out, verified.error);

    REQUIRE(shop.run(compile + "--seed 1 --dropout keep").status == 0);
    REQUIRE(shop.run(train + "--overwrite --epochs 4 --checkpoint seed.atc").status == 0);
    REQUIRE(shop.run(compile).status == 0);
    REQUIRE(shop.run(train + "--overwrite --epochs 4 --checkpoint off.atc").status == 0);
    const std::string whole = shop.read("whole.atc");
    for (const char* other : {"seed.atc", "off.atc"}) CHECK(shop.read(other) != whole);
    CHECK(shop.run("evaluate net.att --data data.npz --json").json()["loss"] == kept);
  }
}

TEST_CASE("dropout and micro-batches exclude each other") {
  const Workshop shop;
  shop.write("net.onnx", network().bytes());
  const auto result = shop.run("compile net.onnx -o net.att --dropout keep --micro-batch 2");
  CHECK(result.status != 0);
  CHECK(contains(result.error, "--dropout keep"));
}

TEST_CASE(
    "a model that was exported in training mode trains with its dropout, where that is kept") {
  const Workshop shop;
  OnnxBuilder b = network();
  onnx::TensorProto* mode = b.proto().mutable_graph()->add_initializer();
  mode->set_name("mode");
  mode->set_data_type(onnx::TensorProto::BOOL);
  mode->add_int32_data(1);
  b.proto().mutable_graph()->mutable_node(1)->add_input("mode");
  shop.write("net.onnx", b.bytes());
  const auto refused = shop.run("compile net.onnx -o net.att --scheme full");
  CHECK(refused.status != 0);
  CHECK(contains(refused.error, "--dropout keep"));
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --dropout keep").status == 0);
  REQUIRE(shop.run(std::string(kTrain) + "--epochs 1 --checkpoint net.atc").status == 0);
  CHECK(shop.run("export net.att --model net.onnx --checkpoint net.atc -o adapted.onnx").status ==
        0);
}

TEST_CASE("a model that draws numbers trains, and evaluates alike each time") {
  const Workshop shop;
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("logits");
  b.tensor("w", {3, 4}, -0.4f, 0.07f).tensor("b", {3}, 0, 0);
  b.node("RandomNormalLike", {"x"}, {"noise"});
  b.node("Add", {"x", "noise"}, {"noisy"});
  set_int(b.node("Gemm", {"noisy", "w", "b"}, {"logits"}), "transB", 1);
  shop.write("net.onnx", b.bytes());
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-size 64").status == 0);
  const auto verified = shop.run("verify net.att --model net.onnx");
  CHECK_MESSAGE(verified.status == 0, verified.out, verified.error);
  REQUIRE(shop.run(std::string(kTrain) + "--epochs 2 --checkpoint net.atc").status == 0);
  const auto first = shop.run("evaluate net.att --data data.npz --json").json()["loss"];
  CHECK(shop.run("evaluate net.att --data data.npz --json").json()["loss"] == first);
}

}  // namespace attune::test
