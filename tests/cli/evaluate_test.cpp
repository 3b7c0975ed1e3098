// What `evaluate` says beside loss and accuracy, held against what `predict` says of each example.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "tests/cli/command.h"
#include "tests/support/files.h"
#include "tests/support/npz.h"

namespace attune::test {
namespace {

// The labels of data.npz: Workshop.
int label(int example) { return example * 5 % 3; }

std::map<std::pair<int, int>, int> predicted_cells(const Workshop& shop, const char* options) {
  std::map<std::pair<int, int>, int> cells;
  const auto predicted = shop.run(std::string("predict net.att data.npz --json ") + options).json();
  REQUIRE(predicted.size() == 38);
  for (int i = 0; i < 38; ++i)
    ++cells[{label(i), predicted[static_cast<size_t>(i)]["classes"][0]["index"].get<int>()}];
  return cells;
}

// A table of an .npz, row by row.
NpyArray floats(int64_t rows, int64_t width, double (*element)(int64_t row, int64_t column)) {
  NpyArray made{NpyType::f32, {rows, width}, {}};
  for (int64_t i = 0; i < rows * width; ++i) {
    const float value = static_cast<float>(element(i / width, i % width));
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    made.bytes.insert(made.bytes.end(), bytes, bytes + sizeof(value));
  }
  return made;
}

double feature(int64_t row, int64_t column) {
  return std::sin(1.3 * static_cast<double>(row) + static_cast<double>(column));
}
// The last output never varies.
double target(int64_t row, int64_t column) {
  return column == 2 ? 0.5 : feature(row, column) * 2 + static_cast<double>(column);
}

void write(const Workshop& shop, const char* name, const NpzArrays& arrays) {
  const Bytes bytes = npz_of(arrays);
  std::ofstream file(shop.path(name), std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  REQUIRE(file.good());
}

}  // namespace

TEST_CASE("evaluate counts every class and every confusion, as predict sees them") {
  Workshop shop;
  shop.write("names.txt", "cat\ndog\n<b>&fox\n");
  // Batches of 4 leave the last one partial.
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-size 4 --labels names.txt")
              .status == 0);
  REQUIRE(shop.run("train net.att --data data.npz --epochs 2 --quiet").status == 0);
  for (const char* options : {"", "--checkpoint net.atc"}) {
    const auto cells = predicted_cells(shop, options);
    const auto result = shop.run(std::string("evaluate net.att --data data.npz --json ") + options);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    const auto json = result.json();
    const auto count = [&](int truth, int taken) {
      const auto cell = cells.find({truth, taken});
      return cell == cells.end() ? 0 : cell->second;
    };
    int correct = 0, mistakes = 0;
    for (int truth = 0; truth < 3; ++truth) {
      int examples = 0, taken = 0;
      for (int other = 0; other < 3; ++other) {
        CHECK(json["confusion_matrix"][static_cast<size_t>(truth)][static_cast<size_t>(other)] ==
              count(truth, other));
        examples += count(truth, other);
        taken += count(other, truth);
        mistakes += truth != other && count(truth, other) > 0;
      }
      correct += count(truth, truth);
      const auto& one = json["classes"][static_cast<size_t>(truth)];
      CHECK(one["class"] == (truth == 0 ? "cat" : truth == 1 ? "dog" : "<b>&fox"));
      CHECK(one["examples"] == examples);
      CHECK(one["predicted"] == taken);
      CHECK(one["correct"] == count(truth, truth));
      CHECK(one["recall"].get<double>() ==
            doctest::Approx(static_cast<double>(count(truth, truth)) / examples));
      if (taken == 0)
        CHECK(one["precision"].is_null());
      else
        CHECK(one["precision"].get<double>() ==
              doctest::Approx(static_cast<double>(count(truth, truth)) / taken));
    }
    CHECK(json["accuracy"].get<double>() == doctest::Approx(correct / 38.0));
    CHECK(json["confusions"].size() == static_cast<size_t>(mistakes));
    REQUIRE(mistakes > 0);  // else this shows nothing
    for (size_t i = 1; i < json["confusions"].size(); ++i)
      CHECK(json["confusions"][i - 1]["examples"] >= json["confusions"][i]["examples"]);
  }

  const auto text = shop.run("evaluate net.att --data data.npz --html report.html");
  REQUIRE_MESSAGE(text.status == 0, text.error);
  for (const char* part : {"worst classes", "recall", "mistaken", "report.html"})
    CHECK(contains(text.out, part));
  const auto quiet = shop.run("evaluate net.att --data data.npz --quiet");
  CHECK(count_lines(quiet.out) == 2);

  const std::string page = shop.read("report.html");
  CHECK(contains(page, "Confusion matrix"));
  CHECK(contains(page, "&lt;b&gt;&amp;fox"));
  CHECK_FALSE(contains(page, "<b>"));
  // A cell for each pair that happened, with its count.
  for (const auto& [cell, count] : predicted_cells(shop, "")) {
    const auto name = [](int i) { return i == 0 ? "cat" : i == 1 ? "dog" : "&lt;b&gt;&amp;fox"; };
    CHECK(contains(page, std::string("<title>") + name(cell.first) + ": " + std::to_string(count) +
                             " taken for " + name(cell.second) + "</title>"));
  }
  // It replaces a report, and nothing else.
  CHECK(shop.run("inspect net.att --html report.html").status == 0);
  CHECK(shop.run("evaluate net.att --data data.npz --html report.html").status == 0);
  CHECK(shop.read("report.html") == page);
  check_refused(shop.run("evaluate net.att --data data.npz --html names.txt"), "not a report");
  check_refused(shop.run("evaluate net.att --data data.npz --html net.atc"), "not a report");
}

TEST_CASE("a model that makes no mistake has no table of them") {
  Workshop shop;
  shop.compile();
  REQUIRE(
      shop.run("train net.att --data data.npz --epochs 30 --learning-rate 0.1 --quiet").status ==
      0);
  const auto result = shop.run("evaluate net.att --data data.npz --checkpoint net.atc");
  CHECK(contains(result.out, "100.00 %"));
  CHECK_FALSE(contains(result.out, "worst"));
  CHECK_FALSE(contains(result.out, "mistaken"));
}

TEST_CASE("a regression has MAE, RMSE and R2, of all outputs and of each") {
  Workshop shop;
  constexpr int kRows = 30;
  write(shop, "reg.npz", {{"x", floats(kRows, 4, feature)}, {"y", floats(kRows, 3, target)}});
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-size 4 "
                   "--loss mean_squared_error")
              .status == 0);
  const auto predicted = shop.run("predict net.att reg.npz --json").json();
  REQUIRE(predicted.size() == kRows);
  const auto result = shop.run("evaluate net.att --data reg.npz --json --html report.html");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  const auto json = result.json();
  double mae_sum = 0, mse_sum = 0, r2_sum = 0;
  for (int k = 0; k < 3; ++k) {
    double absolute = 0, square = 0, mean = 0, spread = 0;
    for (int i = 0; i < kRows; ++i) mean += target(i, k) / kRows;
    for (int i = 0; i < kRows; ++i) {
      const double wanted = target(i, k);
      const double error =
          predicted[static_cast<size_t>(i)]["output"][static_cast<size_t>(k)].get<double>() -
          wanted;
      absolute += std::fabs(error) / kRows;
      square += error * error / kRows;
      spread += (wanted - mean) * (wanted - mean) / kRows;
    }
    const auto& output = json["outputs"][static_cast<size_t>(k)];
    CHECK(output["mae"].get<double>() == doctest::Approx(absolute).epsilon(1e-5));
    CHECK(output["rmse"].get<double>() == doctest::Approx(std::sqrt(square)).epsilon(1e-5));
    mae_sum += absolute;
    mse_sum += square;
    if (k == 2) {
      CHECK(output["r2"].is_null());
      continue;
    }
    CHECK(output["r2"].get<double>() == doctest::Approx(1 - square / spread).epsilon(1e-5));
    r2_sum += 1 - square / spread;
  }
  CHECK(json["mae"].get<double>() == doctest::Approx(mae_sum / 3).epsilon(1e-5));
  CHECK(json["rmse"].get<double>() == doctest::Approx(std::sqrt(mse_sum / 3)).epsilon(1e-5));
  CHECK(json["r2"].get<double>() == doctest::Approx(r2_sum / 2).epsilon(1e-5));
  CHECK_FALSE(json.contains("confusions"));
  const std::string text = shop.run("evaluate net.att --data reg.npz").out;
  for (const char* part : {"MAE", "RMSE", "R2", "output"}) CHECK(contains(text, part));
  CHECK(contains(shop.read("report.html"), "Errors of each output"));
}

}  // namespace attune::test
