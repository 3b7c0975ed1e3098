#include <doctest/doctest.h>
#include <signal.h>

#include <regex>

#include "cli/report/curves_picture.h"
#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

std::vector<nlohmann::json> epochs_of(const Workshop& shop, const std::string& log) {
  std::vector<nlohmann::json> events;
  const std::string text = shop.read(log);
  for (size_t from = 0, to; (to = text.find('\n', from)) != std::string::npos; from = to + 1) {
    auto event = nlohmann::json::parse(text.substr(from, to - from));
    if (event["event"] == "epoch") events.push_back(std::move(event));
  }
  return events;
}

int64_t count_of(const std::string& text, const char* pattern) {
  const std::regex wanted(pattern);
  return std::distance(std::sregex_iterator(text.begin(), text.end(), wanted), {});
}

}  // namespace

TEST_CASE("learning curves hold every epoch's loss and accuracy") {
  Workshop shop;
  shop.compile();
  const std::string train = "train net.att --data data.npz --validation data.npz --quiet ";
  REQUIRE(shop.run(train + "--epochs 6 --curves c.svg --log log.jsonl").status == 0);
  const std::string picture = shop.read("c.svg");
  CHECK(picture.starts_with("<svg "));
  CHECK(contains(picture, "accuracy, %"));
  CHECK(contains(picture, "kept"));
  // A line for training and validation in both plots, a dot for each epoch of each.
  CHECK(count_of(picture, "stroke-width=\"1.5\"") == 4);
  CHECK(count_of(picture, "<circle ") == 24);
  const auto points = cli::read_curves(shop.path("c.svg"));
  const auto epochs = epochs_of(shop, "log.jsonl");
  REQUIRE(points.size() == 6);
  REQUIRE(epochs.size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    CHECK(points[i].epoch == epochs[i]["epoch"].get<int64_t>());
    CHECK(points[i].training->loss == epochs[i]["loss"].get<double>());
    CHECK(points[i].training->accuracy == epochs[i]["accuracy"].get<double>());
    CHECK(points[i].validation->loss == epochs[i]["validation_loss"].get<double>());
    CHECK(points[i].validation->accuracy == epochs[i]["validation_accuracy"].get<double>());
  }
  // A run made longer draws what one run would have.
  REQUIRE(shop.run(train + "--resume net.atc --epochs 8 --curves c.svg").status == 0);
  REQUIRE(shop.run(train + "--epochs 8 --checkpoint whole.atc --curves whole.svg").status == 0);
  CHECK(shop.read("c.svg") == shop.read("whole.svg"));
}

TEST_CASE("curves of a run without validation, of one epoch, replace curves and nothing else") {
  Workshop shop;
  shop.compile();
  const std::string train = "train net.att --data data.npz --epochs 1 --overwrite --quiet ";
  REQUIRE(shop.run(train + "--curves c.svg").status == 0);
  REQUIRE(shop.run(train + "--curves c.svg").status == 0);
  const std::string picture = shop.read("c.svg");
  CHECK_FALSE(contains(picture, "nan"));
  CHECK_FALSE(contains(picture, "inf"));
  CHECK_FALSE(contains(picture, "validation"));
  shop.write("mine.svg", "<svg>a drawing</svg>");
  check_refused(shop.run(train + "--curves mine.svg"), "not a picture of curves");
  check_refused(shop.run(train + "--curves net.att"), "not a picture of curves");
  check_refused(shop.run(train + "--curves a.svg --log a.svg"), "give each a file of its own");
  CHECK(shop.read("mine.svg") == "<svg>a drawing</svg>");
}

}  // namespace attune::test
