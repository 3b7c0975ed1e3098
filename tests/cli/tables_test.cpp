// Tables of columns of several kinds, and series cut into windows.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "tests/cli/arrays.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// city[N] by number, whose row of a table stands beside 4 numbers [N,4]: age, and the colour
// one-hot.
std::string customers() {
  OnnxBuilder b;
  b.int_input("city", {-1}).input("numbers", {-1, 4}).output("logits");
  b.tensor("table", {3, 4}, -0.5f, 0.09f).tensor("w", {8, 2}, -0.3f, 0.041f);
  b.node("Gather", {"table", "city"}, {"row"});
  set_int(b.node("Concat", {"row", "numbers"}, {"both"}), "axis", 1);
  b.node("MatMul", {"both", "w"}, {"logits"});
  return b.bytes();
}

constexpr const char* kSpec = R"({"columns": [
  {"column": "city", "input": "city", "categories": ["Bari", "Oslo", "Rome"], "unknown": "Bari"},
  {"column": "age", "input": "numbers", "mean": 40, "deviation": 20, "missing": 40},
  {"column": "colour", "input": "numbers", "one_hot": ["blue", "green", "red"]}]})";

// A moving value x and what follows: y is the next x.
std::string next_value() {
  OnnxBuilder b;
  b.input("x", {-1, 6, 2}).output("y");
  b.tensor("w", {12, 1}, -0.1f, 0.013f);
  set_int(b.node("Flatten", {"x"}, {"flat"}), "axis", 1);
  b.node("MatMul", {"flat", "w"}, {"y"});
  return b.bytes();
}

double value(int64_t t) { return std::sin(0.4 * static_cast<double>(t)); }

}  // namespace

TEST_CASE("columns are numbers, categories by number, or one-hot, as a file says") {
  const Workshop shop;
  shop.write("net.onnx", customers());
  shop.write("columns.json", kSpec);
  const std::string header = "id,age,city,colour,buys\n";
  std::string rows;
  NpzArrays arrays;
  const char *cities[] = {"Rome", "Bari", "Oslo"}, *colours[] = {"red", "blue", "green"};
  const int places[] = {2, 0, 1};
  for (int i = 0; i < 30; ++i)
    rows += std::to_string(i) + "," + (i == 4 ? "" : std::to_string(20 + i)) + "," + cities[i % 3] +
            "," + colours[i / 3 % 3] + "," + std::to_string(i % 3 == 0) + "\n";
  shop.write("data.csv", header + rows);
  arrays["city"] = ints({30}, [&](int64_t i) { return places[i % 3]; });
  arrays["numbers"] = reals({30, 4}, [&](int64_t i) {
    const int64_t row = i / 4, at = i % 4;
    if (at == 0) return row == 4 ? 0 : (20 + static_cast<double>(row) - 40) / 20;
    return places[row / 3 % 3] == at - 1 ? 1.0 : 0.0;
  });
  arrays["y"] = ints({30}, [](int64_t i) { return i % 3 == 0; });
  write(shop, "same.npz", arrays);

  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full").status == 0);
  const std::string given = " --columns columns.json --label-column buys";
  const auto result = shop.run("evaluate net.att --json --data data.csv" + given);
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(contains(result.error, "not used: `id`"));
  const auto same = shop.run("evaluate net.att --json --data same.npz");
  REQUIRE_MESSAGE(same.status == 0, same.error);
  CHECK(result.json()["loss"] == same.json()["loss"]);
  const auto trained =
      shop.run("train net.att --epochs 60 --learning-rate 0.1 --data data.csv" + given);
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  const auto after =
      shop.run("evaluate net.att --checkpoint net.atc --json --data data.csv" + given).json();
  CHECK(after["accuracy"] == 1);

  // New rows without labels, one from a city that the model does not know.
  shop.write("new.csv", "age,city,colour\n33,Lima,red\n33,Bari,red\n");
  const auto predicted = shop.run("predict net.att new.csv --json --columns columns.json").json();
  REQUIRE(predicted.size() == 2);
  CHECK(predicted[0]["classes"] == predicted[1]["classes"]);

  const auto refused = [&](const std::string& row, const std::string& why) {
    shop.write("wrong.csv", header + rows + row + "\n");
    check_refused(shop.run("train net.att --overwrite --data wrong.csv" + given), why);
  };
  refused("30,33,Rome,pink,1", "wrong.csv:32: `colour`: `pink` is none of its 3 categories");
  refused("30,33,,red,1", "wrong.csv:32: `city` is missing");
  refused("30,old,Rome,red,1", "`age`: `old` is no number");
  check_refused(shop.run("train net.att --overwrite --data data.csv --label-column buys"),
                "or say with --columns which column goes where");
  check_refused(shop.run("train net.att --overwrite --data same.npz --columns columns.json"),
                "--columns is for a .csv");
  const auto wrong = [&](const std::string& from, const std::string& to, const std::string& why) {
    std::string spec = kSpec;
    spec.replace(spec.find(from), from.size(), to);
    shop.write("wrong.json", spec);
    check_refused(shop.run("train net.att --overwrite --data data.csv --label-column buys "
                           "--columns wrong.json"),
                  why);
  };
  wrong("\"Rome\"]", "\"Rome\", \"Lima\"]", "has 4 categories, and the model's table 3 rows");
  wrong("\"green\", ", "", "gives 3 numbers to the model's input `numbers`, which takes 4");
  wrong("\"deviation\": 20", "\"deviation\": 0", "column age: deviation: 0 is none of");
  wrong("\"age\", \"input\": \"numbers\"", "\"age\"", "say which \"input\"");
  wrong("\"unknown\": \"Bari\"", "\"unknown\": \"Lima\"", "its `unknown`, `Lima`, is no category");
  wrong("\"column\": \"age\"", "\"column\": \"years\"", "years");
}

TEST_CASE("a series is cut into windows, each with the label that follows it") {
  const Workshop shop;
  shop.write("net.onnx", next_value());
  std::string csv = "sine,cosine,target\n";
  constexpr int kRows = 200;
  for (int t = 0; t < kRows; ++t)
    csv += std::to_string(value(t)) + "," + std::to_string(value(t + 4)) + "," +
           std::to_string(value(t)) + "\n";
  shop.write("series.csv", csv);
  NpzArrays arrays;
  arrays["x"] = reals(
      {kRows, 2}, [](int64_t i) { return std::stod(std::to_string(value(i / 2 + i % 2 * 4))); });
  arrays["y"] = reals({kRows, 1}, [](int64_t i) { return std::stod(std::to_string(value(i))); });
  write(shop, "series.npz", arrays);
  // The same windows, written out: starts 0, 3, 6 .., labels two rows behind their ends.
  constexpr int kWindows = (kRows - 6 - 2) / 3 + 1;
  NpzArrays cut;
  cut["x"] = reals({kWindows, 6, 2}, [](int64_t i) {
    const int64_t t = i / 12 * 3 + i / 2 % 6;
    return std::stod(std::to_string(value(t + i % 2 * 4)));
  });
  cut["y"] =
      reals({kWindows, 1}, [](int64_t i) { return std::stod(std::to_string(value(i * 3 + 7))); });
  write(shop, "cut.npz", cut);
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --loss mse").status == 0);
  const std::string given = " --window-stride 3 --horizon 2";
  const auto expected = shop.run("evaluate net.att --json --data cut.npz").json();
  CHECK(expected["examples"] == kWindows);
  for (const std::string data : {"series.csv", "series.npz"}) {
    CAPTURE(data);
    const auto result = shop.run("evaluate net.att --json --data " + data + given);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    CHECK(result.json()["examples"] == kWindows);
    CHECK(result.json()["loss"].get<double>() ==
          doctest::Approx(expected["loss"].get<double>()).epsilon(1e-6));
  }
  const auto trained =
      shop.run("train net.att --epochs 30 --learning-rate 0.02 --data series.csv" + given);
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  const auto after =
      shop.run("evaluate net.att --checkpoint net.atc --json --data series.csv" + given).json();
  CHECK(after["loss"].get<double>() < 0.05 * expected["loss"].get<double>());
  // Every window is predicted, the last of which has no label yet.
  CHECK(shop.run("predict net.att series.csv --json --window-stride 1 --horizon 2").json().size() ==
        kRows - 5);
  check_refused(shop.run("evaluate net.att --data series.csv --horizon 2"), "give --window-stride");
  check_refused(shop.run("evaluate net.att --data series.csv --window-stride 1 --horizon 500"),
                "200 rows, and a window has 6 with its label 500 behind");
}

}  // namespace attune::test
