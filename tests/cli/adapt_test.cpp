#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "tests/cli/command.h"
#include "tests/support/npz.h"

namespace attune::test {

TEST_CASE("adapt writes a model that is better, and the commands that make it") {
  const Workshop shop;
  const auto before = shop.files();
  const auto adapted = shop.run("adapt net.onnx data.npz -o adapted.onnx --minutes 0.02 --json");
  REQUIRE_MESSAGE(adapted.status == 0, adapted.error);
  const auto json = adapted.json();
  CHECK(json["adopted"] == true);
  CHECK(json["examples"] == 38);
  CHECK(json["folds"] == 4);
  CHECK(json["fresh_classifier"] == false);
  CHECK(json["after"]["loss"].get<double>() < json["before"]["loss"].get<double>());
  CHECK(json["after"]["accuracy"].get<double>() > json["guessing"]["accuracy"].get<double>());
  CHECK(shop.files().size() == before.size() + 1);

  // By hand, as it says: the same parameters, which tells that nothing is left out.
  const std::vector<std::string> commands = json["by_hand"];
  REQUIRE(commands.size() == 3);
  REQUIRE(shop.run(commands[0].substr(7)).status == 0);
  const auto trained = shop.run(commands[1].substr(7));
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  shop.write("first.onnx", shop.read("adapted.onnx"));
  REQUIRE(shop.run(commands[2].substr(7)).status == 0);
  CHECK((shop.read("adapted.onnx") == shop.read("first.onnx")));
}

TEST_CASE("adapt tells people what it did") {
  const Workshop shop;
  const auto adapted = shop.run("adapt net.onnx data.npz -o adapted.onnx --minutes 0.02");
  REQUIRE_MESSAGE(adapted.status == 0, adapted.error);
  for (const char* part : {"38 examples", "by number", "chosen", "before", "after", "adapted.onnx",
                           "attune compile", "attune train", "attune export"})
    CHECK_MESSAGE(adapted.out.find(part) != std::string::npos, part);
  CHECK(count_lines(adapted.out) <= 14);
}

TEST_CASE("adapt names the classes of a fresh classifier by a table's labels") {
  const Workshop shop;
  std::string table = "a,b,c,d,kind\n";
  for (int i = 0; i < 60; ++i) {
    const bool second = i % 2 == 1;
    table += fmt::format("{},{},{},{},{}\n", 0.1 * (i % 5), second ? 2.5 : -2.5, 0.05 * (i % 7),
                         second ? 1 : -1, second ? "owl" : "ant");
  }
  shop.write("table.csv", table);
  const auto adapted = shop.run("adapt net.onnx table.csv -o adapted.onnx --minutes 0.02 --json");
  REQUIRE_MESSAGE(adapted.status == 0, adapted.error);
  REQUIRE(adapted.json()["adopted"] == true);
  CHECK(adapted.json()["after"]["accuracy"].get<double>() > 0.95);
  const std::string names = shop.read("adapted.classes.txt");
  CHECK(names.find("ant\n") != std::string::npos);
  CHECK(names.find("owl\n") != std::string::npos);
  REQUIRE(shop.run("compile adapted.onnx -o a.att --labels adapted.classes.txt").status == 0);
  const auto evaluated = shop.run("evaluate a.att --data table.csv --json");
  REQUIRE_MESSAGE(evaluated.status == 0, evaluated.error);
  CHECK(evaluated.json()["accuracy"].get<double>() > 0.95);
}

TEST_CASE("adapt names the classes of --classes as the data do") {
  const Workshop shop;
  std::string table = "a,b,c,d,kind\n";
  for (int i = 0; i < 60; ++i)
    table += fmt::format("{},{},{},0,{}\n", 0.1 * (i % 5), i % 2 == 1 ? 2.5 : -2.5, 0.05 * (i % 7),
                         i % 2 == 1 ? "owl" : "ant");
  shop.write("table.csv", table);
  const auto adapted =
      shop.run("adapt net.onnx table.csv -o adapted.onnx --minutes 0.02 --classes 2 --json");
  REQUIRE_MESSAGE(adapted.status == 0, adapted.error);
  REQUIRE(adapted.json()["adopted"] == true);
  CHECK(shop.read("adapted.classes.txt") == "ant\nowl\n");
  check_refused(shop.run("adapt net.onnx table.csv -o new.onnx --classes 3"),
                "--classes 3: table.csv has 2 classes: ant, owl");
}

TEST_CASE("adapt says of a folder without class folders that it has none") {
  const Workshop shop;
  std::filesystem::create_directories(shop.path("nothing"));
  check_refused(shop.run("adapt net.onnx nothing -o new.onnx"), "nothing: has no class folders");
  check_refused(shop.run("adapt net.onnx nothing -o new.onnx --classes 2"), "has no class folders");
}

TEST_CASE("adapt writes nothing where labels say nothing") {
  const Workshop shop;
  // The labels have nothing to do with the examples.
  std::vector<float> x(60 * 4);
  std::vector<int64_t> y(60);
  uint32_t random = 1;
  for (float& number : x)
    number = static_cast<float>((random = random * 1664525 + 1013904223) >> 8) / 8388608 - 1;
  for (int64_t& label : y) label = (random = random * 1664525 + 1013904223) >> 24 > 127;
  const auto bytes_of = [](const auto& numbers) {
    const auto* bytes = reinterpret_cast<const std::byte*>(numbers.data());
    return Bytes(bytes, bytes + numbers.size() * sizeof(numbers[0]));
  };
  const Bytes file = npz_of(
      {{"x", {NpyType::f32, {60, 4}, bytes_of(x)}}, {"y", {NpyType::i64, {60}, bytes_of(y)}}});
  shop.write("shuffled.npz", {reinterpret_cast<const char*>(file.data()), file.size()});
  const auto adapted = shop.run("adapt net.onnx shuffled.npz -o adapted.onnx --minutes 0.02");
  REQUIRE_MESSAGE(adapted.status == 0, adapted.error);
  CHECK(adapted.out.find("not written: ") != std::string::npos);
  CHECK(!shop.exists("adapted.onnx"));
}

TEST_CASE("adapt never asks without a terminal, and overwrites nothing that is not its own") {
  const Workshop shop;
  shop.write("notes.txt", "mine");
  check_refused(shop.run("adapt net.onnx data.npz -o notes.txt"), "notes.txt");
  CHECK(shop.read("notes.txt") == "mine");
  check_refused(shop.run("adapt net.onnx data.npz -o net.onnx"), "original model");
  shop.write("new.classes.txt", "mine");
  check_refused(shop.run("adapt net.onnx data.npz -o new.onnx"), "new.classes.txt");
  check_refused(shop.run("adapt net.onnx data.npz -o new2.onnx --minutes 0"), "--minutes 0");
  // A table of one class, and one whose labels are names.
  shop.write("one.csv", "a,b,c,d,kind\n1,2,3,4,x\n2,3,4,5,x\n");
  check_refused(shop.run("adapt net.onnx one.csv -o new3.onnx"), "all examples are of one class");
  check_refused(shop.run("adapt net.onnx data.npz -o new4.onnx --loss l1"), "adapt does not judge");
  check_refused(shop.run("adapt net.onnx data.npz -o new4.onnx --loss smooth_l1"),
                "does not judge");
  for (const char* option : {"--huber-delta", "--entropy-bonus"}) {
    CHECK(!contains(shop.run("adapt --help").out, option));
    CHECK(contains(shop.run("compile --help").out, option));
  }
}

}  // namespace attune::test
