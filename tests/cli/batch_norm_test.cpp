// The statistics of batch norms through the command, as a user meets them.
#include <doctest/doctest.h>

#include "tests/cli/command.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// x[N,4] -> 5, normalised by statistics that do not fit -> logits[N,3].
std::string network(bool in_training) {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("logits");
  b.tensor("hidden.weight", {5, 4}, -0.4f, 0.07f);
  set_int(b.node("Gemm", {"x", "hidden.weight"}, {"hidden"}), "transB", 1);
  b.tensor("norm.weight", {5}, 1, 0.1f).tensor("norm.bias", {5}, 0, 0.05f);
  b.tensor("norm.mean", {5}, 4, 1).tensor("norm.var", {5}, 20, 1);
  auto& norm = b.node("BatchNormalization",
                      {"hidden", "norm.weight", "norm.bias", "norm.mean", "norm.var"}, {"normal"});
  if (in_training) set_int(norm, "training_mode", 1);
  b.node("Relu", {"normal"}, {"active"});
  b.tensor("head.weight", {3, 5}, -0.3f, 0.05f).tensor("head.bias", {3}, 0.02f, -0.01f);
  set_int(b.node("Gemm", {"active", "head.weight", "head.bias"}, {"logits"}), "transB", 1);
  return b.bytes();
}

double loss_of(const Workshop& shop, const std::string& plan_and_checkpoint) {
  const auto result = shop.run("evaluate " + plan_and_checkpoint + " --data data.npz --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  return result.json()["loss"].get<double>();
}

}  // namespace

TEST_CASE("estimate adapts a model without labels or training, and export keeps it") {
  const Workshop shop;
  shop.write("norm.onnx", network(false));
  REQUIRE(shop.run("compile norm.onnx -o norm.att --scheme head --batch-norm estimate").status ==
          0);
  const auto estimated = shop.run("estimate norm.att --data unlabelled.npz -o norm.atc --json");
  REQUIRE_MESSAGE(estimated.status == 0, estimated.error);
  CHECK(estimated.json()["examples"] == 38);
  const double before = loss_of(shop, "norm.att");
  const double after = loss_of(shop, "norm.att --checkpoint norm.atc");
  CHECK(after < before);

  REQUIRE(
      shop.run("export norm.att --model norm.onnx --checkpoint norm.atc -o adapted.onnx").status ==
      0);
  REQUIRE(shop.run("compile adapted.onnx -o adapted.att --scheme head").status == 0);
  CHECK(loss_of(shop, "adapted.att") == doctest::Approx(after).epsilon(1e-6));
  const auto verified = shop.run("verify norm.att --model norm.onnx");
  CHECK_MESSAGE(verified.status == 0, verified.out);

  // train does the same first, and inspect tells what is trained and what is not.
  REQUIRE(shop.run("train norm.att --data data.npz --epochs 1 --learning-rate 0.0000001 "
                   "--checkpoint trained.atc --quiet")
              .status == 0);
  CHECK(loss_of(shop, "norm.att --checkpoint trained.atc") == doctest::Approx(after).epsilon(1e-3));
  const auto inspected = shop.run("inspect norm.att --json").json();
  int statistics = 0;
  for (const auto& parameter : inspected["parameters"])
    if (parameter["statistic"] == true) ++statistics;
  CHECK(statistics == 2);
}

TEST_CASE("updated statistics are those of the data, and a run that is resumed keeps them") {
  const Workshop shop;
  shop.write("norm.onnx", network(false));
  const auto compiled =
      shop.run("compile norm.onnx -o norm.att --scheme full --batch-norm update --json");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  CHECK(compiled.json()["trained_parameters"] == 5);  // and no statistic
  const std::string train = "train norm.att --data data.npz --quiet --learning-rate 0.05 ";
  REQUIRE(shop.run(train + "--epochs 12 --checkpoint whole.atc").status == 0);
  REQUIRE(shop.run(train + "--epochs 6 --checkpoint half.atc").status == 0);
  REQUIRE(shop.run("train norm.att --data data.npz --quiet --resume half.atc --checkpoint half.atc "
                   "--epochs 12")
              .status == 0);
  CHECK(shop.read("half.atc") == shop.read("whole.atc"));
  CHECK(loss_of(shop, "norm.att --checkpoint whole.atc") < loss_of(shop, "norm.att"));
}

TEST_CASE("what batch norms cannot do is refused, with what to do") {
  const Workshop shop;
  shop.write("norm.onnx", network(false));
  shop.write("training.onnx", network(true));
  check_refused(shop.run("compile training.onnx -o x.att"), "is in training mode");
  check_refused(shop.run("compile net.onnx -o x.att --batch-norm estimate"),
                "the model has no BatchNormalization");
  check_refused(shop.run("compile norm.onnx -o x.att --batch-norm update --micro-batch 4"),
                "--micro-batch 4");
  check_refused(shop.run("compile norm.onnx -o x.att --batch-norm estimate --scheme auto --data "
                         "data.npz --memory 1MiB"),
                "search first");
  shop.compile();
  check_refused(shop.run("estimate net.att --data data.npz -o x.atc"), "--batch-norm estimate");
  CHECK(!shop.exists("x.atc"));
}

}  // namespace attune::test
