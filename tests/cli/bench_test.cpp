#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

using nlohmann::json;

}  // namespace

TEST_CASE("bench measures every step that inspect lists, and what their operators add up to") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full").status == 0);
  const auto result = shop.run("bench net.att --repeats 3 --no-peak --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.error.empty());
  const json bench = result.json();
  const json inspect = shop.run("inspect net.att --json").json();
  CHECK(bench["threads"] == 1);
  CHECK(bench["repeats"] == 3);
  CHECK(bench["memory_bytes"] == inspect["memory"]["total"]);
  CHECK(bench["peak_resident_bytes"].get<uint64_t>() > bench["memory_bytes"].get<uint64_t>());
  CHECK(bench["load_ms"].get<double>() > 0);
  CHECK_FALSE(bench.contains("machine"));
  REQUIRE(bench["programs"].size() == 3);
  for (size_t p = 0; p < 3; ++p) {
    const json& measured = bench["programs"][p];
    const json& planned = inspect["programs"][p];
    CAPTURE(measured["name"]);
    CHECK(measured["name"] == planned["name"]);
    CHECK(measured["batch"] == planned["batch"]);
    CHECK(measured["macs"] == planned["macs"]);
    CHECK(measured["ms"].get<double>() >= measured["fastest_ms"].get<double>());
    CHECK(measured["fastest_ms"].get<double>() > 0);
    CHECK(measured["first_ms"].get<double>() > 0);
    CHECK(measured["examples_s"].get<double>() ==
          doctest::Approx(1e3 * measured["batch"].get<double>() / measured["ms"].get<double>()));
    CHECK(measured.contains("backward_ms") == (measured["name"] == "train_step"));
    REQUIRE(measured["steps"].size() == planned["steps"].size());
    double share = 0;
    std::map<std::string, int> counts;
    for (size_t i = 0; i < planned["steps"].size(); ++i) {
      const json& step = measured["steps"][i];
      for (const char* same : {"op", "name", "backend", "macs", "bytes"})
        CHECK(step[same] == planned["steps"][i][same]);
      CHECK(step["ms"].get<double>() >= 0);
      CHECK_FALSE(step.contains("of_peak"));
      share += step["share"].get<double>();
      ++counts[step["op"]];
    }
    CHECK(share == doctest::Approx(1));
    CHECK(measured["operators"].size() == counts.size());
    double last = 1e30;
    for (const json& op : measured["operators"]) {
      CHECK(op["steps"] == counts[op["op"]]);
      CHECK(op["ms"].get<double>() <= last);
      last = op["ms"];
    }
  }
}

TEST_CASE("bench counts as backward all that is computed from gradients") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full").status == 0);
  const json bench = shop.run("bench net.att --repeats 1 --no-peak --json").json();
  bool after_loss = false;
  std::set<std::string> backward;
  for (const json& step : bench["programs"][0]["steps"]) {
    CAPTURE(step["name"]);
    const std::string op = step["op"], phase = step["phase"];
    if (op == "softmax_cross_entropy_grad") after_loss = true;
    if (op == "momentum") {
      CHECK(phase == "update");
    } else if (op == "softmax_cross_entropy" || op == "count_correct") {
      CHECK(phase == "forward");
    } else {
      CHECK(phase == (after_loss ? "backward" : "forward"));
    }
    if (phase == "backward") backward.insert(op);
  }
  // Operators that the forward pass has, too.
  CHECK(backward.count("matmul") == 1);
  CHECK(backward.count("reduce") == 1);
  for (const json& step : bench["programs"][2]["steps"]) CHECK(step["phase"] == "forward");
}

TEST_CASE("bench holds steps against the peak of the machine") {
  Workshop shop;
  shop.compile();
  const auto result = shop.run("bench net.att --repeats 1 --program train_step --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  const json bench = result.json();
  const json& machine = bench["machine"];
  const std::string instructions = machine["instructions"];
  CHECK((instructions == "avx512f" || instructions == "avx2+fma" || instructions == "baseline"));
  REQUIRE(machine["compute"].size() == 1);
  CHECK(machine["compute"][0]["threads"] == 1);
  CHECK(machine["compute"][0]["gflop_s"].get<double>() > 0);
  CHECK(machine["memory"].size() >= 5);
  uint64_t last = 0;
  for (const json& m : machine["memory"]) {
    CHECK(m["bytes"].get<uint64_t>() > last);
    CHECK(m["read_gb_s"].get<double>() > 0);
    CHECK(m["copy_gb_s"].get<double>() > 0);
    last = m["bytes"];
  }
  REQUIRE(bench["programs"].size() == 1);
  const double gflops = machine["compute"][0]["gflop_s"];
  for (const json& step : bench["programs"][0]["steps"]) {
    const double of_peak = step["of_peak"];
    // At least the share of the multiply-adds; equal to it where these are the bound.
    CHECK(of_peak >= 0.999 * step["gflop_s"].get<double>() / gflops);
    if (step["bound"] == "compute")
      CHECK(of_peak == doctest::Approx(step["gflop_s"].get<double>() / gflops));
  }
}

TEST_CASE("bench prints a table for people, and totals alone where it is asked to be quiet") {
  Workshop shop;
  shop.compile();
  const auto all = shop.run("bench net.att --repeats 2 --no-peak --threads 2 --backend reference");
  REQUIRE_MESSAGE(all.status == 0, all.error);
  for (const char* part : {"train_step", "  forward", "  backward", "  update", "evaluate",
                           "predict", "train_step by operator", "train_step by step",
                           "softmax_cross_entropy_grad", "GFLOP/s", "reference"})
    CHECK(contains(all.out, part));
  CHECK_FALSE(contains(all.out, "of peak"));
  CHECK_FALSE(contains(all.out, "xnnpack"));
  const auto quiet = shop.run("bench net.att --repeats 2 --no-peak --quiet");
  CHECK(quiet.status == 0);
  CHECK(count_lines(quiet.out) == 1 + 3 + 3);
  const auto one = shop.run("bench net.att --repeats 1 --no-peak --quiet --program predict");
  CHECK(one.status == 0);
  CHECK(count_lines(one.out) == 2);
  CHECK(contains(one.out, "predict"));
}

TEST_CASE("bench refuses what it cannot measure") {
  Workshop shop;
  shop.compile();
  check_refused(shop.run("bench gone.att"), "gone.att");
  check_refused(shop.run("bench data.npz"), "data.npz");
  check_refused(shop.run("bench net.att --repeats 0"), "--repeats");
  check_refused(shop.run("bench net.att --program train"), "--program");
  check_refused(shop.run("bench net.att --threads 0"), "--threads");
  CHECK_FALSE(shop.exists("net.atc"));
}

}  // namespace attune::test
