// The statistics of batch norms through the command, as a user meets them.
#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

#include "tests/cli/arrays.h"
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

// 36 examples of the workshop's kind, moved by `shift` and with classes counted on by `turn`.
void write_examples(const Workshop& shop, const std::string& name, double shift, int64_t turn) {
  const auto x = [&](int64_t i) {
    return std::sin(0.7 * static_cast<double>(i)) * 0.4 + (i % 4 == i / 4 % 3 ? 1.5 : 0) + shift;
  };
  const auto y = [&](int64_t i) { return (i + turn) % 3; };
  write(shop, name, {{"x", reals({36, 4}, x)}, {"y", ints({36}, y)}});
}

std::vector<nlohmann::json> events(const Workshop& shop, const std::string& log) {
  std::istringstream lines(shop.read(log));
  std::vector<nlohmann::json> found;
  for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line));
  return found;
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

TEST_CASE("a guarded run judges the estimated statistics by themselves, and never does harm") {
  const Workshop shop;
  shop.write("norm.onnx", network(false));
  write_examples(shop, "good.npz", 0, 0);
  write_examples(shop, "moved.npz", 2, 0);
  write_examples(shop, "turned.npz", 2, 1);
  // A model that fits the good examples, with their statistics.
  const std::string compile = " --batch-size 4 --batch-norm estimate ";
  REQUIRE(shop.run("compile norm.onnx -o norm.att --scheme head" + compile).status == 0);
  REQUIRE(
      shop.run("train norm.att --data good.npz --learning-rate 0.5 --epochs 60 --quiet").status ==
      0);
  REQUIRE(shop.run("export norm.att --model norm.onnx --checkpoint norm.atc -o fit.onnx").status ==
          0);
  REQUIRE(shop.run("compile fit.onnx -o fit.att --scheme full" + compile).status == 0);
  REQUIRE(shop.run("estimate fit.att --data moved.npz -o estimated.atc").status == 0);
  const auto loss = [&](const std::string& data, const std::string& checkpoint) {
    const auto result = shop.run("evaluate fit.att --json --data " + data + checkpoint);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.json()["loss"].get<double>();
  };
  const double before = loss("moved.npz", "");
  const double estimated = loss("moved.npz", " --checkpoint estimated.atc");
  const double good = loss("good.npz", "");
  REQUIRE(estimated < before);
  REQUIRE(good < loss("good.npz", " --checkpoint estimated.atc"));

  // The statistics help, and training does harm: they alone are kept, and that is what is said.
  const std::string judged = "train fit.att --data turned.npz --validation moved.npz ";
  const std::string rate = "--learning-rate 5 ";
  const auto kept = shop.run(judged + rate + "--epochs 3 --log kept.jsonl --checkpoint kept.atc");
  REQUIRE_MESSAGE(kept.status == 0, kept.error);
  CHECK(loss("moved.npz", " --checkpoint kept.atc") == estimated);
  CHECK_FALSE(contains(kept.error + kept.out, "as it was"));
  CHECK(contains(kept.out, "epoch 0, before training"));
  const auto log = events(shop, "kept.jsonl");
  REQUIRE(log.size() > 3);
  CHECK(log[1]["event"] == "baseline");
  CHECK(log[1]["validation_loss"] == before);
  CHECK(log[2]["event"] == "validation");
  CHECK(log[2]["epoch"] == 0);
  CHECK(log[2]["validation_loss"] == estimated);
  CHECK(log.back()["baseline_validation_loss"] == before);
  CHECK(log.back()["best_validation_loss"] == estimated);
  CHECK(log.back()["best_epoch"] == 0);
  const auto on = shop.run(judged + "--epochs 5 --resume kept.atc --checkpoint kept.atc");
  REQUIRE_MESSAGE(on.status == 0, on.error);
  CHECK_FALSE(contains(on.error + on.out, "as it was"));
  CHECK(loss("moved.npz", " --checkpoint kept.atc") == estimated);
  REQUIRE(shop.run(judged + rate + "--epochs 5 --checkpoint whole.atc --quiet").status == 0);
  CHECK(shop.read("kept.atc") == shop.read("whole.atc"));

  // They do harm, and so does training with them.
  const std::string harmed = "train fit.att --data turned.npz --validation good.npz ";
  for (const std::string& run :
       {rate + "--epochs 3 ", std::string("--epochs 5 --resume bad.atc ")}) {
    CAPTURE(run);
    const auto result = shop.run(harmed + run + "--checkpoint bad.atc");
    REQUIRE_MESSAGE(result.status == 0, result.error);
    CHECK(contains(result.out, "the model is as it was"));
    CHECK(loss("good.npz", " --checkpoint bad.atc") == good);
  }

  // Both help.
  const std::string helped =
      "train fit.att --data moved.npz --validation moved.npz --quiet --json ";
  const auto better = shop.run(helped + "--learning-rate 1e-7 --epochs 8 --checkpoint better.atc");
  REQUIRE_MESSAGE(better.status == 0, better.error);
  CHECK(better.json()["best_epoch"] > 0);
  CHECK(better.json()["baseline_validation_loss"] == before);
  CHECK(loss("moved.npz", " --checkpoint better.atc") < estimated);

  // Parameters overflow: the run goes back to the statistics, and ends with them.
  const auto diverged =
      shop.run(helped + "--learning-rate 3e39 --steps 1 --checkpoint diverged.atc");
  REQUIRE_MESSAGE(diverged.status == 0, diverged.error);
  CHECK(diverged.json()["rollbacks"] > 0);
  CHECK(loss("moved.npz", " --checkpoint diverged.atc") == estimated);

  // The last state, where that is asked for, has the statistics.
  const auto last = shop.run(helped + "--keep last --learning-rate 1e-12 --checkpoint last.atc");
  REQUIRE_MESSAGE(last.status == 0, last.error);
  CHECK_FALSE(last.json().contains("baseline_validation_loss"));
  CHECK(loss("moved.npz", " --checkpoint last.atc") == doctest::Approx(estimated).epsilon(1e-3));
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
