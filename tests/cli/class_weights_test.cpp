// `train --class-weights` as a user runs it, against PyTorch, and against what is done by hand:
// `sample_weight` in the data.
#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <sstream>

#include "tests/cli/command.h"
#include "tests/support/npz.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr int64_t kExamples = 22;

// Of 15, 6 and 1 examples.
int class_of(int64_t example) { return example == 11 ? 2 : example % 4 == 1 ? 1 : 0; }

NpyArray reals(std::vector<int64_t> shape, const std::function<double(int64_t)>& value) {
  NpyArray made{NpyType::f64, std::move(shape), {}};
  for (int64_t i = 0; i < made.elements(); ++i) {
    const double number = value(i);
    const auto* bytes = reinterpret_cast<const std::byte*>(&number);
    made.bytes.insert(made.bytes.end(), bytes, bytes + sizeof(number));
  }
  return made;
}

// Examples for net.onnx, with a weight each where there are any.
void write_data(const Workshop& shop, const std::string& name, NpyArray targets,
                const std::function<double(int64_t)>& weight = nullptr) {
  NpzArrays arrays = {{"x", reals({kExamples, 4},
                                  [](int64_t i) {
                                    return std::sin(1.7 * static_cast<double>(i / 4 + i % 4)) *
                                               0.4 +
                                           (i % 4 == class_of(i / 4) ? 1.5 : 0);
                                  })},
                      {"y", std::move(targets)}};
  if (weight) arrays["sample_weight"] = reals({kExamples}, weight);
  const Bytes bytes = npz_of(arrays);
  shop.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
NpyArray classes() { return reals({kExamples}, class_of); }

// What a run of these arguments leaves, or the test fails.
std::string trained(const Workshop& shop, const std::string& arguments) {
  const auto run = shop.run("train " + arguments + " --checkpoint run.atc --overwrite --json");
  REQUIRE_MESSAGE(run.status == 0, run.error);
  return shop.read("run.atc");
}

nlohmann::json first_line(const Workshop& shop, const std::string& name) {
  const std::string text = shop.read(name);
  return nlohmann::json::parse(text.substr(0, text.find('\n')));
}

}  // namespace

TEST_CASE("class weights train as the same weights of examples do, bit for bit") {
  Workshop shop;
  shop.compile();
  const double own[] = {0.5, 2, 3.25}, balanced[] = {22 / (3 * 15.), 22 / (3 * 6.), 22 / (3 * 1.)};
  const auto of_example = [](int64_t i) { return 1 + 0.1 * static_cast<double>(i % 3); };
  write_data(shop, "plain.npz", classes());
  write_data(shop, "own.npz", classes(), [&](int64_t i) { return own[class_of(i)]; });
  write_data(shop, "balanced.npz", classes(), [&](int64_t i) { return balanced[class_of(i)]; });
  write_data(shop, "some.npz", classes(), of_example);
  write_data(shop, "both.npz", classes(),
             [&](int64_t i) { return of_example(i) * own[class_of(i)]; });
  shop.write("weights.txt", "0.5\r\n2.0\n3.25e+00\n");

  const std::string start = "net.att --epochs 3 --validation plain.npz --data ";
  const std::string expected = trained(shop, start + "own.npz");
  CHECK(expected != trained(shop, start + "plain.npz"));
  for (const char* given : {"0.5,2,3.25", "weights.txt"})
    CHECK(trained(shop, start + "plain.npz --class-weights " + given) == expected);
  CHECK(trained(shop, start + "plain.npz --class-weights balanced --log log.jsonl") ==
        trained(shop, start + "balanced.npz"));
  CHECK(first_line(shop, "log.jsonl")["class_weights"] == nlohmann::json(balanced));
  CHECK(trained(shop, start + "some.npz --class-weights 0.5,2,3.25") ==
        trained(shop, start + "both.npz"));
}

TEST_CASE("class weights train as PyTorch's do") {
  Workshop shop;
  shop.compile();
  write_data(shop, "plain.npz", classes());
  trained(shop,
          "net.att --data plain.npz --class-weights 0.5,2,9 --no-shuffle --learning-rate 0.1 "
          "--epochs 2 --log steps.jsonl");
  // torch 1.13: CrossEntropyLoss(weight=[0.5, 2, 9]) and SGD of momentum 0.9 in float64, four in
  // order.
  const double expected[] = {0.9939221, 0.9705277, 1.5506889, 0.9137218, 0.8957303, 0.8385499,
                             0.8493080, 0.8238309, 1.4489822, 0.8142707, 0.7997858, 0.6340965};
  std::istringstream log(shop.read("steps.jsonl"));
  size_t steps = 0;
  for (std::string line; std::getline(log, line);)
    if (const auto event = nlohmann::json::parse(line); event["event"] == "step") {
      REQUIRE(steps < std::size(expected));
      CHECK(event["loss"].get<double>() == doctest::Approx(expected[steps++]).epsilon(1e-5));
    }
  CHECK(steps == std::size(expected));
}

TEST_CASE("validation counts classes as they are, and balanced counts what is trained on") {
  Workshop shop;
  shop.compile();
  write_data(shop, "plain.npz", classes());
  const auto run = shop.run(
      "train net.att --data plain.npz --validation plain.npz --class-weights 0.5,2,9 --epochs 2 "
      "--keep last --json");
  REQUIRE_MESSAGE(run.status == 0, run.error);
  const auto judged = shop.run("evaluate net.att --checkpoint net.atc --data plain.npz --json");
  CHECK(run.json()["validation_loss"] == judged.json()["loss"]);
  CHECK(run.json()["validation_accuracy"] == judged.json()["accuracy"]);

  // 7, 3 and 1 of the examples are left.
  trained(shop,
          "net.att --data plain.npz --validation-split 0.5 --class-weights balanced --epochs 1 "
          "--log split.jsonl");
  CHECK(first_line(shop, "split.jsonl")["class_weights"] ==
        nlohmann::json({11 / (3 * 7.), 11 / (3 * 3.), 11 / (3 * 1.)}));
  // A class that the data lack counts as none, as in scikit-learn.
  const auto lacking = shop.run(
      "train net.att --data no_ones.npz --class-weights balanced --epochs 1 --log lacking.jsonl "
      "--overwrite");
  REQUIRE_MESSAGE(lacking.status == 0, lacking.error);
  CHECK(contains(lacking.error, "which it may forget: 1"));
  CHECK(first_line(shop, "lacking.jsonl")["class_weights"] == nlohmann::json({1., 0., 1.}));
}

TEST_CASE("one score has two classes to weigh") {
  Workshop shop;
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("w", {1, 4}, -0.4f, 0.11f).tensor("b", {1}, 0.1f, 0.1f);
  set_int(b.node("Gemm", {"x", "w", "b"}, {"y"}), "transB", 1);
  shop.write("one.onnx", b.bytes());
  REQUIRE(shop.run("compile one.onnx -o one.att --scheme full --loss bce --batch-size 4").status ==
          0);
  const auto is_zero = [](int64_t i) { return class_of(i) == 0 ? 1. : 0.; };
  write_data(shop, "plain.npz", reals({kExamples, 1}, is_zero));
  write_data(shop, "weighted.npz", reals({kExamples, 1}, is_zero),
             [&](int64_t i) { return is_zero(i) > 0 ? 0.25 : 3; });
  CHECK(trained(shop, "one.att --epochs 2 --data plain.npz --class-weights 3,0.25") ==
        trained(shop, "one.att --epochs 2 --data weighted.npz"));
}

TEST_CASE("a run that is resumed takes its class weights again") {
  Workshop shop;
  shop.compile();
  write_data(shop, "plain.npz", classes());  // 6 steps an epoch
  const std::string start = "train net.att --data plain.npz ", weights = "--class-weights 0.5,2,9 ";
  REQUIRE(shop.run(start + weights + "--steps 14 --checkpoint whole.atc").status == 0);
  for (const char* stop : {"6", "8"}) {
    REQUIRE(shop.run(start + weights + "--overwrite --steps " + stop).status == 0);
    const auto resumed = shop.run(start + weights + "--resume net.atc --steps 14");
    REQUIRE_MESSAGE(resumed.status == 0, resumed.error);
    CHECK(shop.read("net.atc") == shop.read("whole.atc"));
  }
  // Within the third epoch: the weights that were seen of it are others.
  for (const char* other : {"", "--class-weights balanced "})
    check_refused(shop.run(start + other + "--resume net.atc --steps 20"),
                  "use the same data and weights");

  const pid_t child =
      shop.start(start + weights + "--steps 1000000 --overwrite --log interrupted.jsonl");
  shop.await_lines(child, "interrupted.jsonl", 20);
  kill(child, SIGINT);
  const auto interrupted = shop.wait(child);
  CHECK(interrupted.status == 130);
  CHECK(contains(interrupted.error, "--data plain.npz --class-weights 0.5,2,9 --log"));
}

TEST_CASE("class weights that say nothing of the data are refused") {
  Workshop shop;
  shop.compile();
  write_data(shop, "plain.npz", classes());
  shop.write("empty.txt", "");
  const auto files = shop.files();
  for (const auto& [given, reason] :
       {std::pair{"1,2", "2 weights for 3 classes, and none for class 2"},
        {"1,2,3,4", "4 weights for 3 classes"},
        {"1,-2,3", "'-2' is no number of at least 0"},
        {"-1,2,3", "'-1' is no number of at least 0"},
        {"1,nan,3", "'nan' is no number of at least 0"},
        {"1,inf,3", "'inf' is no number of at least 0"},
        {"1,2x,3", "'2x' is no number of at least 0"},
        {"missing.txt", "'missing.txt' is no number of at least 0; give balanced, a number"},
        {"plain.npz", "is no number of at least 0"},
        {"empty.txt", "--class-weights empty.txt: cannot be read, or is empty"},
        {"0,0,0", "every example has the weight 0"},
        {"1e39,1,1", "is no finite number"}}) {
    CAPTURE(given);
    check_refused(shop.run(std::string("train net.att --data plain.npz --class-weights=") + given),
                  reason);
  }
  check_refused(shop.run("train net.att --data unlabelled.npz --class-weights balanced"), "labels");
  CHECK(shop.files() == files);

  const auto refused = [&](const std::string& options, const std::string& reason) {
    REQUIRE(shop.run("compile net.onnx -o other.att --quiet --scheme full " + options).status == 0);
    write_data(shop, "targets.npz",
               reals({kExamples, 3}, [](int64_t i) { return i % 3 == class_of(i / 3) ? 1 : 0; }));
    check_refused(shop.run("train other.att --data targets.npz --class-weights 1,2,3"), reason);
  };
  refused("--loss mse", "learns by mean_squared_error, where an example has no class to weigh");
  refused("--loss soft", "learns by soft_cross_entropy, where an example has no class to weigh");
  refused("--loss bce", "learns 3 labels of each example, and an example has one weight");
}

}  // namespace attune::test
