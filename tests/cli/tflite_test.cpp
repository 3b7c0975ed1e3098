// TFLite models through the command, as a user meets them.
#include <doctest/doctest.h>

#include "tests/cli/command.h"
#include "tests/support/npz.h"
#include "tests/support/tflite_builder.h"

namespace attune::test {
namespace {

using tflite::BuiltinOperator;
using tflite::BuiltinOptions;

TfliteBuilder::Options fully_connected(TfliteBuilder& b) {
  return {BuiltinOptions::FullyConnectedOptions,
          tflite::CreateFullyConnectedOptions(b.builder(), tflite::Activation::RELU).Union()};
}

// x[1,4] -> 5 hidden -> 3 probabilities; with class names behind the model.
std::string network(bool int8, const std::string& labels) {
  TfliteBuilder b;
  const int x = b.input({1, 4}, "serving_default_x:0");
  const int w = int8 ? b.int8({5, 4}, "hidden", {1,  -2, 3,  -4, 5,  -6, 7,  -8, 9,  -10,
                                                 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
                              {0.02f}, {0})
                     : b.weights({5, 4}, "hidden");
  const int h =
      b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, b.weights({5}, "bias")}, fully_connected(b));
  const int y = b.op(BuiltinOperator::FULLY_CONNECTED,
                     {h, b.weights({3, 5}, "head"), b.weights({3}, "head_bias")},
                     {BuiltinOptions::FullyConnectedOptions,
                      tflite::CreateFullyConnectedOptions(b.builder()).Union()});
  b.output(
      b.op(BuiltinOperator::SOFTMAX, {y},
           {BuiltinOptions::SoftmaxOptions, tflite::CreateSoftmaxOptions(b.builder(), 1).Union()}));
  b.signature({"x"}, {"probabilities"});  // as `predict` calls its own
  b.labels("labels.txt");
  const auto bytes_of = [](const std::string& text) {
    const auto* first = reinterpret_cast<const std::byte*>(text.data());
    return Bytes(first, first + text.size());
  };
  const Bytes file = zip_of({{"labels.txt", bytes_of(labels)}}, bytes_of(b.bytes()));
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

double loss_of(const Workshop& shop, const std::string& plan) {
  const auto result = shop.run("evaluate " + plan + " --data data.npz --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  return result.json()["loss"].get<double>();
}

}  // namespace

TEST_CASE("a TFLite model is compiled, trained, verified and exported, as ONNX and as TFLite") {
  const Workshop shop;
  shop.write("net.tflite", network(false, "daisy\nrose\r\ntulip\n"));
  const auto compiled = shop.run("compile net.tflite -o t.att --scheme full");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  CHECK(shop.run("inspect t.att --json").json()["classes"] ==
        nlohmann::json({"daisy", "rose", "tulip"}));
  CHECK(shop.run("verify t.att --model net.tflite").status == 0);
  REQUIRE(shop.run("train t.att --data data.npz --epochs 3 --learning-rate 0.05 --quiet").status ==
          0);
  const double after = loss_of(shop, "t.att --checkpoint t.atc");
  CHECK(after < loss_of(shop, "t.att"));
  for (const std::string out : {"adapted.onnx", "adapted.tflite"}) {
    const auto exported = shop.run("export t.att --model net.tflite --checkpoint t.atc -o " + out);
    REQUIRE_MESSAGE(exported.status == 0, exported.error);
    REQUIRE(shop.run("compile " + out + " -o again.att").status == 0);
    CHECK(loss_of(shop, "again.att") == doctest::Approx(after).epsilon(1e-6));
    shop.remove("again.att");
  }
  CHECK(shop.read("adapted.tflite").size() == shop.read("net.tflite").size());
  CHECK(shop.run("inspect t.att").status == 0);
}

TEST_CASE("an int8 TFLite model learns in floats, and is written as ONNX alone") {
  const Workshop shop;
  shop.write("net.tflite", network(true, "a\nb\nc\n"));
  REQUIRE(shop.run("compile net.tflite -o t.att --scheme full").status == 0);
  REQUIRE(shop.run("train t.att --data data.npz --epochs 1 --quiet").status == 0);
  CHECK(shop.run("export t.att --model net.tflite --checkpoint t.atc -o a.onnx").status == 0);
  check_refused(shop.run("export t.att --model net.tflite --checkpoint t.atc -o a.tflite"),
                "'hidden' is of INT8, and trained weights are floats; write the adapted model");
  shop.compile();
  check_refused(shop.run("export net.att --model net.onnx -o a.tflite"), "name the output .onnx");
}

TEST_CASE("class names of a TFLite model are taken where they fit, and the user's win") {
  const Workshop shop;
  shop.write("net.tflite", network(false, "one\ntwo\n"));
  const auto other = shop.run("compile net.tflite -o t.att");
  CHECK(other.status == 0);
  CHECK(other.error.find("its 2 class names are not used, as it has 3 classes") !=
        std::string::npos);
  shop.write("mine.txt", "x\ny\nz\n");
  shop.write("net.tflite", network(false, "one\ntwo\nthree\n"));
  REQUIRE(shop.run("compile net.tflite -o t.att --labels mine.txt").status == 0);
  CHECK(shop.run("inspect t.att --json").json()["classes"] == nlohmann::json({"x", "y", "z"}));
  REQUIRE(shop.run("compile net.tflite -o t.att --classes 2").status == 0);
  shop.write("net.tflite", network(false, "one\n\nthree\n"));
  check_refused(shop.run("compile net.tflite -o t.att"), "labels.txt: line 2 is blank");
}

}  // namespace attune::test
