#include <doctest/doctest.h>
#include <sys/resource.h>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

const std::string kQuick =
    " --data data.npz --batch-size 4 --backend reference --head-epochs 2 "
    "--steps 5 --jobs 2 ";

size_t smallest_memory(const Workshop& shop) {
  const auto head = shop.run(
      "compile net.onnx -o head.att --scheme head --batch-size 4 --backend reference "
      "--memory 1GiB --json");
  REQUIRE_MESSAGE(head.status == 0, head.error);
  shop.remove("head.att");
  return head.json()["cost"]["memory"];
}

}  // namespace

TEST_CASE("search writes a scheme that compile takes within the same budget") {
  Workshop shop;
  const std::string memory = std::to_string(smallest_memory(shop) + 1500);
  for (const std::string estimator : {"fisher", "measured"}) {
    const auto searched = shop.run(
        "search net.onnx -o scheme.json --front front.json --picture "
        "front.svg --json --quiet --estimator " +
        estimator + kQuick + "--memory " + memory);
    REQUIRE_MESSAGE(searched.status == 0, searched.error);
    CHECK(searched.error.empty());
    const auto json = searched.json();
    CHECK(json["estimator"] == estimator);
    const size_t needed = json["found"]["cost"]["memory"];
    CHECK(needed <= std::stoul(memory));
    CHECK(json["bound"].get<double>() >= json["found"]["gain"].get<double>());
    const std::string compile =
        "compile net.onnx -o net.att --scheme scheme.json --batch-size 4 --backend reference ";
    const auto compiled = shop.run(compile + "--json --memory " + std::to_string(needed));
    REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
    CHECK(compiled.json()["cost"]["memory"] == needed);
    check_refused(shop.run(compile + "--memory-tiling off --memory " + std::to_string(needed - 1)),
                  "--memory allows");
    const auto front = nlohmann::json::parse(shop.read("front.json"));
    CHECK(!front["memory_front"].empty());
    CHECK(!front["time_front"].empty());
    CHECK(shop.read("front.svg").starts_with("<svg"));
  }
  CHECK(shop.exists("scheme.gains.jsonl"));
}

TEST_CASE("of finalists the one that learned the most becomes the scheme") {
  Workshop shop;
  const std::string memory = std::to_string(smallest_memory(shop) + 1500);
  const std::string search =
      "search net.onnx -o scheme.json --finalists 3 --finalist-steps 8 "
      "--learning-rate 0.05" +
      kQuick + "--memory " + memory;
  const auto searched = shop.run(search + " --json --quiet");
  REQUIRE_MESSAGE(searched.status == 0, searched.error);
  const auto json = searched.json();
  // As many as there are, so near the smallest plan.
  REQUIRE(json["finalists"].size() >= 4);
  REQUIRE(json["finalists"].size() <= 6);
  double before = 0;
  for (const auto& finalist : json["finalists"]) {
    CHECK(finalist["cost"]["memory"] <= std::stoul(memory));
    CHECK(finalist["learning_rate"].get<double>() > 0);
    if (&finalist == &json["finalists"][0] || &finalist == &json["finalists"][1]) {
      // Below that of guessing, and of few examples.
      CHECK(finalist["loss"].get<double>() >= before);
      before = finalist["loss"];
    }
  }
  const auto& best = json["finalists"][0]["scheme"];
  CHECK(json["found"]["scheme"] == best);
  const auto written = nlohmann::json::parse(shop.read("scheme.json"));
  CHECK(written["bias_last"] == best["bias_last"]);
  CHECK(written["layers"] == best["layers"]);
  CHECK(shop.exists("scheme.gains.jsonl"));
  // For people, too: known runs are not done again.
  const std::string kept = shop.read("scheme.gains.jsonl");
  const auto text = shop.run(search);
  REQUIRE_MESSAGE(text.status == 0, text.error);
  CHECK(text.out.find("judged by examples that were not trained on") != std::string::npos);
  CHECK(text.out.find("learning rate") != std::string::npos);
  CHECK(shop.read("scheme.gains.jsonl") == kept);
}

TEST_CASE("a cache that cannot grow is told once, and the search goes on to the same scheme") {
  Workshop shop;
  const std::string search =
      "search net.onnx --memory 1MB --estimator measured --finalists 2 "
      "--finalist-steps 6 --quiet" +
      kQuick;
  REQUIRE(shop.run(search + "-o a.json").status == 0);
  REQUIRE(shop.read("a.json").size() < 300);
  REQUIRE(shop.read("a.gains.jsonl").size() > 1000);
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small = {300, limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto result = shop.run(search + "-o b.json");
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(count_lines(result.error) == 1);
  CHECK(
      contains(result.error, "b.gains.jsonl: cannot be written: File too large; the run goes on"));
  CHECK(shop.read("b.json") == shop.read("a.json"));
}

TEST_CASE("compile --scheme auto compiles what search finds") {
  Workshop shop;
  const std::string memory = std::to_string(smallest_memory(shop) + 1500);
  const std::string common =
      " --data data.npz --batch-size 4 --backend reference --memory " + memory;
  const auto compiled = shop.run("compile net.onnx -o a.att --scheme auto --quiet" + common);
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  CHECK(compiled.error.empty());
  REQUIRE(shop.run("search net.onnx -o scheme.json --quiet" + common).status == 0);
  REQUIRE(shop.run("compile net.onnx -o b.att --batch-size 4 --scheme scheme.json").status == 0);
  CHECK(shop.run("inspect a.att --scheme").out == shop.run("inspect b.att --scheme").out);

  // With finals, both name the rate.
  const std::string finals = common + " --finalists 2 --finalist-steps 6 --learning-rate 0.01";
  const auto tuned = shop.run("compile net.onnx -o a.att --scheme auto --json --quiet" + finals);
  REQUIRE_MESSAGE(tuned.status == 0, tuned.error);
  const auto searched = shop.run("search net.onnx -o scheme.json --json --quiet" + finals);
  REQUIRE_MESSAGE(searched.status == 0, searched.error);
  CHECK(tuned.json()["learning_rate"] == searched.json()["learning_rate"]);
  const auto shown = shop.run("compile net.onnx -o a.att --scheme auto" + finals);
  CHECK(shown.out.find("train it with --learning-rate") != std::string::npos);
  REQUIRE(shop.run("compile net.onnx -o b.att --batch-size 4 --scheme scheme.json").status == 0);
  CHECK(shop.run("inspect a.att --scheme").out == shop.run("inspect b.att --scheme").out);
}

TEST_CASE("gains are estimated for micro-batches, too") {
  Workshop shop;
  for (const std::string estimator : {"fisher", "measured"}) {
    const auto searched = shop.run(
        "search net.onnx -o scheme.json --quiet --micro-batch 2 --memory 1MB "
        "--estimator " +
        estimator + kQuick);
    CHECK_MESSAGE(searched.status == 0, searched.error);
  }
}

TEST_CASE("the same search writes the same files") {
  Workshop shop;
  const std::string command =
      "search net.onnx --quiet --channels fisher --data data.npz --batch-size 4 "
      "--backend reference --memory " +
      std::to_string(smallest_memory(shop) + 1200);
  REQUIRE(shop.run(command + " -o a.json --front a.front.json --jobs 3").status == 0);
  REQUIRE(shop.run(command + " -o b.json --front b.front.json --jobs 1").status == 0);
  CHECK(shop.read("a.json") == shop.read("b.json"));
  CHECK(shop.read("a.front.json") == shop.read("b.front.json"));
}

TEST_CASE("searches that cannot succeed say why and write nothing") {
  Workshop shop;
  const std::string search = "search net.onnx -o scheme.json --quiet" + kQuick;
  check_refused(shop.run(search), "give --memory, --flash or --latency");
  check_refused(shop.run(search + "--memory 0"), "is no number of bytes");
  check_refused(shop.run(search + "--memory 12XB"), "is no number of bytes");
  check_refused(shop.run(search + "--memory 1B"), "no scheme fits: the smallest plan found");
  check_refused(shop.run(search + "--flash 100"), "--flash allows");
  shop.write("slow.json",
             R"({"name": "slow", "gflop_s": 0.002, "bandwidth": [{"bytes": 1, "gb_s": 1}]})");
  check_refused(shop.run(search + "--latency 1us --target slow.json"), "--latency allows");
  shop.remove("slow.json");
  check_refused(shop.run(search + "--memory 1MB --learning-rate 0"), "give a number above 0");
  check_refused(shop.run("search net.onnx -o scheme.json --memory 1MB --data unlabelled.npz"),
                "unlabelled.npz");
  check_refused(shop.run("search net.onnx -o net.onnx --memory 1MB --data data.npz"),
                "is not a scheme");
  check_refused(shop.run(search + "--memory 1MB --front ./scheme.json"),
                "give each a file of its own");
  check_refused(shop.run(search + "--memory 1MB --cache scheme.json"),
                "give each a file of its own");
  check_refused(shop.run("search net.onnx -o s.json --picture net.onnx --memory 1MB --data d.npz"),
                "is not an SVG picture");
  check_refused(shop.run("compile net.onnx -o net.att --scheme auto --memory 1MB"), "needs --data");
  check_refused(shop.run("compile net.onnx -o net.att --scheme auto --data data.npz"),
                "give --memory");
  check_refused(shop.run("compile net.onnx -o net.att --scheme head --data data.npz"),
                "is for --scheme auto");
  check_refused(shop.run("compile net.onnx -o net.att --scheme head --finalists 3"), "--data");
  check_refused(shop.run("compile net.onnx -o n.att --scheme auto --memory 1MB --data data.npz "
                         "--cache ./n.att"),
                "give each a file of its own");
  CHECK(shop.files() == std::vector<std::string>{"data.npz", "net.onnx", "no_ones.npz", "one.npy",
                                                 "unlabelled.npz"});
}

TEST_CASE("sensitivity lists what every choice gains, and compares the estimators") {
  Workshop shop;
  const auto fisher = shop.run("sensitivity net.onnx --json --quiet" + kQuick);
  REQUIRE_MESSAGE(fisher.status == 0, fisher.error);
  CHECK(fisher.json()["unit"] == "fisher");
  CHECK(fisher.json()["bias"].size() == 1);
  CHECK(fisher.json()["weights"].size() == 3);
  const auto compared = shop.run(
      "sensitivity net.onnx --json --quiet --estimator measured --compare --cache c.jsonl" +
      kQuick);
  REQUIRE_MESSAGE(compared.status == 0, compared.error);
  CHECK(compared.json()["unit"] == "accuracy");
  for (const char* group : {"bias", "weights", "all"}) {
    const double r = compared.json()["rank_correlation"][group];
    CHECK(r >= -1);
    CHECK(r <= 1);
  }
  CHECK(count_lines(shop.read("c.jsonl")) == 5);
  const auto people = shop.run("sensitivity net.onnx" + kQuick);
  CHECK(contains(people.out, "last biases"));
  CHECK(contains(people.out, "weights:"));
  check_refused(shop.run("sensitivity net.onnx --compare --quiet" + kQuick),
                "--estimator measured");
  check_refused(
      shop.run("sensitivity net.onnx --estimator measured --cache net.onnx --quiet" + kQuick),
      "is not a cache of results");
}

}  // namespace attune::test
