// What people bring: folders, tables, labels and weights, through the command.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "cli/subset.h"
#include "engine/io/npz.h"
#include "graph/ir/error.h"
#include "tests/cli/command.h"
#include "tests/support/files.h"
#include "tests/support/npz.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

using cli::Split;
using cli::split_examples;

int64_t count(const std::vector<int64_t>& examples, const std::vector<int32_t>& classes,
              int32_t wanted) {
  return std::ranges::count_if(
      examples, [&](int64_t i) { return classes[static_cast<size_t>(i)] == wanted; });
}

TEST_CASE("a split keeps each class's share, and one of each to train with") {
  std::vector<int32_t> classes;
  for (int i = 0; i < 100; ++i) classes.push_back(i < 70 ? 0 : i < 95 ? 1 : i < 99 ? 2 : 3);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Split split = split_examples(100, classes, 0.2, seed);
    REQUIRE(split.validation.size() == 20);
    CHECK(split.training.size() == 80);
    CHECK(count(split.validation, classes, 0) == 14);
    CHECK(count(split.validation, classes, 1) == 5);
    CHECK(count(split.validation, classes, 2) == 1);
    CHECK(count(split.training, classes, 3) == 1);
    CHECK(std::ranges::is_sorted(split.training));
    CHECK(std::ranges::is_sorted(split.validation));
    std::vector<int64_t> all = split.training;
    all.insert(all.end(), split.validation.begin(), split.validation.end());
    std::ranges::sort(all);
    for (int64_t i = 0; i < 100; ++i) CHECK(all[static_cast<size_t>(i)] == i);
    CHECK(split_examples(100, classes, 0.2, seed).validation == split.validation);
  }
  CHECK(split_examples(100, classes, 0.2, 1).validation !=
        split_examples(100, classes, 0.2, 2).validation);
}

TEST_CASE("splits of few examples leave one on each side") {
  CHECK(split_examples(4, {0, 0, 1, 1}, 0.01, 0).validation.size() == 1);
  CHECK(split_examples(4, {0, 0, 1, 1}, 0.99, 0).training.size() == 2);
  CHECK(split_examples(5, {}, 0.4, 0).validation.size() == 2);
  CHECK(split_examples(2, {}, 0.9, 0).training.size() == 1);
  CHECK_THROWS_AS(split_examples(3, {0, 1, 2}, 0.3, 0), Error);
  CHECK_THROWS_AS(split_examples(1, {}, 0.3, 0), Error);
}

NpyArray reals(std::vector<int64_t> shape, const std::vector<float>& values) {
  NpyArray array{NpyType::f32, std::move(shape), Bytes(values.size() * sizeof(float))};
  std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

void write(const Workshop& shop, const char* name, const NpzArrays& arrays) {
  const Bytes bytes = npz_of(arrays);
  shop.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// The examples, of four numbers and a class each, as often as they say.
NpzArrays repeated(const std::vector<int>& times) {
  std::vector<float> x, y;
  for (size_t i = 0; i < times.size(); ++i)
    for (int t = 0; t < times[i]; ++t) {
      for (size_t k = 0; k < 4; ++k)
        x.push_back(static_cast<float>(std::sin(static_cast<double>(4 * i + k))));
      y.push_back(static_cast<float>(i % 3));
    }
  const auto n = static_cast<int64_t>(y.size());
  return {{"x", reals({n, 4}, x)}, {"y", reals({n}, y)}};
}

TEST_CASE("weights in an .npz count like repeated examples in `evaluate`") {
  Workshop shop;
  shop.compile();
  const std::vector<int> times = {3, 1, 2, 1, 5, 1, 1, 4};
  write(shop, "repeated.npz", repeated(times));
  NpzArrays arrays = repeated(std::vector<int>(times.size(), 1));
  arrays["sample_weight"] = reals({8}, {3, 1, 2, 1, 5, 1, 1, 4});
  write(shop, "weighted.npz", arrays);
  const auto measure = [&](const char* name) {
    const auto result = shop.run(std::string("evaluate net.att --json --data ") + name);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.json();
  };
  const auto a = measure("repeated.npz"), b = measure("weighted.npz");
  CHECK(a["loss"].get<double>() == doctest::Approx(b["loss"].get<double>()).epsilon(1e-6));
  CHECK(a["accuracy"].get<double>() == doctest::Approx(b["accuracy"].get<double>()).epsilon(1e-6));
  CHECK(b["examples"] == 8);
}

TEST_CASE("examples in training and validation are counted before a run") {
  Workshop shop;
  shop.compile();
  write(shop, "a.npz", repeated({1, 1, 1, 1, 1, 1, 0, 0, 0}));
  write(shop, "b.npz", repeated({0, 0, 0, 0, 1, 1, 1, 1, 1}));
  const auto result = shop.run("train net.att --data a.npz --validation b.npz --epochs 1");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(contains(result.error, "attune: 2 of 5 validation examples stand in the training data"));
  const auto split =
      shop.run("train net.att --data a.npz --validation-split 0.4 --epochs 1 --overwrite");
  CHECK(split.status == 0);
  CHECK(!contains(split.error, "stand in the training data"));
}

// x of 2x2 RGB to three classes.
std::string picture_net() {
  OnnxBuilder b;
  b.input("x", {-1, 3, 2, 2}).output("logits");
  b.tensor("fc.weight", {3, 12}, -0.3f, 0.017f).tensor("fc.bias", {3}, 0.1f, 0.05f);
  b.node("Flatten", {"x"}, {"flat"});
  set_int(b.node("Gemm", {"flat", "fc.weight", "fc.bias"}, {"logits"}), "transB", 1);
  return b.bytes();
}

TEST_CASE("what is left out of folders is told, skipped on request, and --quiet silences it") {
  Workshop shop;
  const auto write_file = [&](const std::string& name, const Bytes& bytes) {
    std::filesystem::create_directories(std::filesystem::path(shop.path(name)).parent_path());
    shop.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  for (const char* name : {"pics/a/1.png", "pics/b/2.png", "pics/c/in/3.png", "pics/c/in/4.png"})
    write_file(name, grey_png(2, 2, static_cast<uint8_t>(40 * (name[9] - '0'))));
  write_file("pics/a/notes.txt", {});
  shop.write("net.onnx", picture_net());
  REQUIRE(shop.run("compile net.onnx -o p.att --scheme full --labels pics --preprocess unit:2x2")
              .status == 0);
  auto result = shop.run("evaluate p.att --data pics --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.json()["examples"] == 4);
  CHECK(contains(result.error, "attune: pics: 1 file left out: 1 .txt (read are "));
  CHECK(shop.run("evaluate p.att --data pics --json --quiet").error.empty());

  write_file("pics/b/5.png", first(grey_png(2, 2, 1), 40));
  for (const char* verb : {"evaluate p.att", "train p.att --epochs 1"}) {
    CAPTURE(verb);
    const std::string command = std::string(verb) + " --data pics --quiet --json";
    check_refused(shop.run(command), "pics/b/5.png: the image is cut short");
    result = shop.run(command + " --on-error skip");
    REQUIRE_MESSAGE(result.status == 0, result.error);
    CHECK(result.json()["examples"] == 4);
  }
  result = shop.run("predict p.att --json --on-error skip pics/b/5.png none.png pics/a/1.png");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.json().size() == 1);
  CHECK(contains(result.error, "left out: pics/b/5.png: the image is cut short"));
  CHECK(contains(result.error, "left out: none.png: no such file"));
  check_refused(shop.run("predict p.att --on-error skip --quiet pics/b/5.png"), "is cut short");

  shop.write("list.csv", "Art;Datei\na;pics/a/1.png\nc;pics/c/in/3.png\n");
  CHECK(shop.run("evaluate p.att --data list.csv --json").json()["examples"] == 2);
  check_refused(shop.run("evaluate p.att --data list.csv --label-column x"),
                "--label-column x: no such column; there are Art, Datei");
}

}  // namespace
}  // namespace attune::test
