// A class for each position: where the classes are, and labels that do not count.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/cli/arrays.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr int kExamples = 20, kClasses = 3, kPositions = 5;

double input(int64_t i) { return std::sin(0.7 * static_cast<double>(i)); }
int64_t label(int64_t i) { return i * 7 % kClasses; }
bool ignored(int64_t i) { return i % 4 == 1 || i / kPositions == 3; }

// x[N,5,2] -> scores of 3 classes [N,5,3], or transposed [N,3,5].
std::string tagger(bool classes_first) {
  OnnxBuilder b;
  b.input("x", {-1, kPositions, 2}).output("logits");
  b.tensor("w", {2, kClasses}, -0.5f, 0.21f);
  b.node("MatMul", {"x", "w"}, {classes_first ? "scores" : "logits"});
  if (classes_first) set_ints(b.node("Transpose", {"scores"}, {"logits"}), "perm", {0, 2, 1});
  return b.bytes();
}

NpzArrays data(int64_t ignore) {
  NpzArrays arrays;
  arrays["x"] = reals({kExamples, kPositions, 2}, input);
  arrays["y"] =
      ints({kExamples, kPositions}, [=](int64_t i) { return ignored(i) ? ignore : label(i); });
  return arrays;
}

struct Score {
  double loss = 0, accuracy = 0;
};

// Of the positions that count, by hand.
Score expected() {
  Score score;
  int counted = 0;
  for (int64_t i = 0; i < kExamples * kPositions; ++i) {
    if (ignored(i)) continue;
    double scores[kClasses], sum = 0;
    int best = 0;
    for (int c = 0; c < kClasses; ++c) {
      scores[c] = input(2 * i) * (-0.5 + 0.21 * c) + input(2 * i + 1) * (-0.5 + 0.21 * (3 + c));
      sum += std::exp(scores[c]);
      if (scores[c] > scores[best]) best = c;
    }
    score.loss += std::log(sum) - scores[label(i)];
    score.accuracy += best == label(i);
    ++counted;
  }
  return {score.loss / counted, score.accuracy / counted};
}

void check_score(const Workshop& shop, const std::string& file) {
  const auto result = shop.run("evaluate net.att --json --data " + file);
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.json()["loss"].get<double>() == doctest::Approx(expected().loss).epsilon(1e-6));
  CHECK(result.json()["accuracy"].get<double>() ==
        doctest::Approx(expected().accuracy).epsilon(1e-6));
}

}  // namespace

TEST_CASE("positions with the ignored label weigh nothing") {
  const Workshop shop;
  shop.write("net.onnx", tagger(false));
  write(shop, "torch.npz", data(-100));
  write(shop, "own.npz", data(255));
  for (const std::string& batch : {std::string("7"), std::string("8 --micro-batch 2")}) {
    CAPTURE(batch);
    REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-size " + batch).status ==
            0);
    check_score(shop, "torch.npz");
    check_refused(shop.run("evaluate net.att --data own.npz"), "label 255");
    const auto verified = shop.run("verify net.att --model net.onnx --data torch.npz");
    CHECK_MESSAGE(verified.status == 0, verified.error);
    // A training step of all examples: its loss is the mean over the positions that count.
    const auto trained = shop.run(
        "train net.att --epochs 1 --learning-rate 1e-9 --overwrite --json --data torch.npz");
    REQUIRE_MESSAGE(trained.status == 0, trained.error);
    CHECK(trained.json()["loss"].get<double>() == doctest::Approx(expected().loss).epsilon(1e-5));
    // What a half-done epoch weighs is known again when it is resumed.
    REQUIRE(shop.run("train net.att --steps 1 --overwrite --data torch.npz").status == 0);
    const auto resumed = shop.run("train net.att --steps 4 --resume net.atc --data torch.npz");
    CHECK_MESSAGE(resumed.status == 0, resumed.error);
  }
  REQUIRE(shop.run("compile net.onnx -o net.att --ignore-label 255").status == 0);
  check_score(shop, "own.npz");
  check_refused(shop.run("evaluate net.att --data torch.npz"), "label -100");
  check_refused(shop.run("compile net.onnx -o net.att --loss mse --ignore-label 255"),
                "--ignore-label is for --loss cross_entropy");
  // All positions of a batch may be ignored, but not all of the data.
  NpzArrays nothing = data(-100);
  nothing["y"] = ints({kExamples, kPositions}, [](int64_t) { return -100; });
  write(shop, "nothing.npz", nothing);
  REQUIRE(shop.run("compile net.onnx -o net.att").status == 0);
  check_refused(shop.run("evaluate net.att --data nothing.npz"), "weight 0");
}

TEST_CASE("a label that is ignored at positions is none of a whole example") {
  const Workshop shop;
  shop.compile();
  NpzArrays arrays;
  arrays["x"] = reals({4, 4}, input);
  arrays["y"] = ints({4}, [](int64_t i) { return i == 2 ? -100 : 0; });
  write(shop, "wrong.npz", arrays);
  check_refused(shop.run("train net.att --data wrong.npz"), "y[2]: label -100");
}

TEST_CASE("the classes of each position may be on another axis") {
  const Workshop shop;
  shop.write("net.onnx", tagger(true));
  write(shop, "torch.npz", data(-100));
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --class-axis 1").status == 0);
  check_score(shop, "torch.npz");
  const auto verified = shop.run("verify net.att --model net.onnx --data torch.npz");
  CHECK_MESSAGE(verified.status == 0, verified.error);
  const auto predicted = shop.run("predict net.att torch.npz --json").json();
  CHECK(predicted[0]["positions"].size() == kPositions);
  CHECK(predicted[0]["positions"][0].size() == kClasses);
  check_refused(shop.run("compile net.onnx -o net.att --class-axis 3"), "an axis 3 of classes");
  check_refused(shop.run("compile net.onnx -o net.att --loss mse --class-axis 1"),
                "--class-axis is for --loss cross_entropy");
  // Without it, the last axis has them.
  REQUIRE(shop.run("compile net.onnx -o net.att").status == 0);
  check_refused(shop.run("evaluate net.att --data torch.npz"),
                "the model's class labels take [n,3]");
}

// x[N,2,4,6] -> a class for each pixel, as segmentation nets give it: [N,3,4,6].
TEST_CASE("a net that classifies pixels learns from a map of labels") {
  const Workshop shop;
  OnnxBuilder b;
  b.input("x", {-1, 2, 4, 6}).output("logits");
  b.tensor("w1", {8, 2, 3, 3}, -0.3f, 0.0043f)
      .tensor("b1", {8})
      .tensor("w2", {3, 8, 1, 1}, -0.2f, 0.017f);
  set_ints(b.node("Conv", {"x", "w1", "b1"}, {"h"}), "pads", {1, 1, 1, 1});
  b.node("Relu", {"h"}, {"a"});
  b.node("Conv", {"a", "w2"}, {"logits"});
  shop.write("net.onnx", b.bytes());
  NpzArrays arrays;
  arrays["x"] = reals({30, 2, 4, 6}, input);
  arrays["y"] = ints({30, 4, 6}, [](int64_t i) {
    const int64_t pixel = i % 24, first = i / 24 * 48 + pixel;
    return i % 11 == 0 ? -100 : input(first) > 0.3 ? 2 : input(first + 24) > 0 ? 1 : 0;
  });
  write(shop, "maps.npz", arrays);
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-size 6").status == 0);
  const auto verified = shop.run("verify net.att --model net.onnx --data maps.npz");
  CHECK_MESSAGE(verified.status == 0, verified.error);
  const auto trained = shop.run("train net.att --epochs 40 --learning-rate 0.1 --data maps.npz");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  const auto after =
      shop.run("evaluate net.att --checkpoint net.atc --json --data maps.npz").json();
  CHECK(after["accuracy"].get<double>() > 0.9);
  REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o out.onnx").status == 0);
  REQUIRE(shop.run("compile out.onnx -o out.att").status == 0);
  const auto exported = shop.run("evaluate out.att --json --data maps.npz").json();
  CHECK(exported["loss"].get<double>() ==
        doctest::Approx(after["loss"].get<double>()).epsilon(1e-4));
  // A fresh classifier of another number of classes.
  REQUIRE(shop.run("compile net.onnx -o net.att --classes 4").status == 0);
  CHECK(shop.run("evaluate net.att --data maps.npz").status == 0);
}

TEST_CASE("batch norms count an example as its positions do") {
  const Workshop shop;
  OnnxBuilder b;
  b.input("x", {-1, 2, 4, 6}).output("logits").tensor("w", {3, 2, 1, 1}, -0.3f, 0.13f);
  for (const char* name : {"gamma", "beta", "mean", "var"}) b.tensor(name, {2}, 0.4f, 0.3f);
  b.node("BatchNormalization", {"x", "gamma", "beta", "mean", "var"}, {"n"});
  b.node("Conv", {"n", "w"}, {"logits"});
  shop.write("net.onnx", b.bytes());
  NpzArrays arrays;
  arrays["x"] = reals({10, 2, 4, 6}, input);
  arrays["y"] = ints({10, 4, 6}, [](int64_t i) { return i % 5 == 0 ? -100 : label(i); });
  write(shop, "maps.npz", arrays);
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-norm update").status == 0);
  const auto verified = shop.run("verify net.att --model net.onnx --data maps.npz");
  CHECK_MESSAGE(verified.status == 0, verified.error);
  const auto trained = shop.run("train net.att --epochs 2 --data maps.npz");
  CHECK_MESSAGE(trained.status == 0, trained.error);
}

}  // namespace attune::test
