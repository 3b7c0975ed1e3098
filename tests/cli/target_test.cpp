// Profiling a machine, and estimates of plans for it. What times are is not tested, but what is
// said of them.
#include <doctest/doctest.h>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

using nlohmann::json;

constexpr const char* kBoard = R"({"name": "board", "threads": 1, "gflop_s": 1, "step_us": 10,
                                   "bandwidth": [{"bytes": 1000, "gb_s": 1}]})";

double sum_of_steps(const json& program) {
  double ms = 0;
  for (const json& step : program["steps"]) ms += step["estimated_ms"].get<double>();
  return ms;
}

}  // namespace

TEST_CASE("inspect estimates a plan for a machine that is described by hand") {
  Workshop shop;
  shop.compile();
  shop.write("board.json", kBoard);
  const auto result = shop.run("inspect net.att --target board.json --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.error.empty());
  const json inspect = result.json();
  CHECK(inspect["target"]["name"] == "board");
  for (const json& program : inspect["programs"]) {
    CAPTURE(program["name"]);
    CHECK(program["measured_share"] == 0);
    CHECK(program["estimated_ms"].get<double>() == doctest::Approx(sum_of_steps(program)));
    for (const json& step : program["steps"]) {
      CHECK(step["basis"] == "roofline");
      const double compute_us = 2e-3 * step["macs"].get<double>();
      const double traffic_us = 1e-3 * step["bytes"].get<double>();
      CHECK(step["estimated_ms"].get<double>() ==
            doctest::Approx(1e-3 * (std::max(compute_us, traffic_us) + 10)));
    }
  }
  const auto table = shop.run("inspect net.att --target board.json");
  for (const char* part : {"estimate: board", "of it measured", "basis", "roofline"})
    CHECK(contains(table.out, part));
  const auto other = shop.run("inspect net.att --target board.json --threads 2");
  CHECK(other.status == 0);
  CHECK(contains(other.error, "--threads 1"));
}

TEST_CASE("inspect without a target says how to make one") {
  Workshop shop;
  shop.compile();
  const auto result = shop.run("inspect net.att");
  CHECK(contains(result.out, "attune profile -o machine.json"));
  CHECK_FALSE(contains(result.out, "basis"));
  const json inspect = shop.run("inspect net.att --json").json();
  CHECK_FALSE(inspect.contains("target"));
  CHECK_FALSE(inspect["programs"][0].contains("estimated_ms"));
}

TEST_CASE("a profile of a plan has measured each of its steps, and only those") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full").status == 0);
  REQUIRE(shop.run("compile net.onnx -o other.att --scheme full --batch-size 7").status == 0);
  const auto profile = shop.run("profile net.att -o machine.json --rounds 1 --name desk --json");
  REQUIRE_MESSAGE(profile.status == 0, profile.error);
  CHECK(contains(profile.error, "round 1 of 1, plan 1 of 1: net.att"));
  CHECK(profile.json()["plans"] == 1);
  CHECK(profile.json()["name"] == "desk");
  const json machine = json::parse(shop.read("machine.json"));
  CHECK(machine["points"].size() == profile.json()["points"]);
  CHECK(machine["bandwidth"].size() >= 5);
  for (const json& point : machine["points"]) {
    CHECK(point["us"].get<double>() > 0);
    const double bytes = point["bytes"];
    CHECK(point["program_bytes"].get<double>() >= bytes / 1.5);  // it is rounded
  }

  const json same = shop.run("inspect net.att --target machine.json --json").json();
  for (const json& program : same["programs"]) {
    CHECK(program["measured_share"].get<double>() == doctest::Approx(1));
    for (const json& step : program["steps"]) CHECK(step["basis"] == "measured");
  }
  const json other = shop.run("inspect other.att --target machine.json --json").json();
  int similar = 0;
  for (const json& step : other["programs"][0]["steps"]) similar += step["basis"] == "similar";
  CHECK(similar > 0);

  SUBCASE("bench holds the estimate against what it measures") {
    const auto result =
        shop.run("bench net.att --target machine.json --repeats 2 --no-peak --json");
    REQUIRE_MESSAGE(result.status == 0, result.error);
    const json bench = result.json();
    CHECK(bench["target"]["name"] == "desk");
    for (size_t p = 0; p < 3; ++p) {
      const json& program = bench["programs"][p];
      CHECK(program["estimated_ms"].get<double>() ==
            doctest::Approx(same["programs"][p]["estimated_ms"].get<double>()));
      CHECK(program["error"].get<double>() ==
            doctest::Approx(
                program["estimated_ms"].get<double>() / program["fastest_ms"].get<double>() - 1));
      for (const json& step : program["steps"]) CHECK(step["basis"] == "measured");
    }
    const auto table = shop.run("bench net.att --target machine.json --repeats 1 --no-peak");
    for (const char* part : {"estimate: desk", "error", "basis", "measured"})
      CHECK(contains(table.out, part));
  }
  SUBCASE("a profile replaces a profile") {
    CHECK(shop.run("profile net.att -o machine.json --rounds 1 --quiet").status == 0);
  }
}

TEST_CASE("targets that are none are refused, and files that are none are left alone") {
  Workshop shop;
  shop.compile();
  shop.write("bad.json", R"({"name": "bad"})");
  for (const char* command :
       {"inspect net.att --target bad.json", "bench net.att --target bad.json",
        "inspect net.att --target gone.json", "profile -o bad.json net.att",
        "profile -o net.att net.att", "profile -o machine.json gone.att", "profile net.att"}) {
    CAPTURE(std::string(command));
    const auto result = shop.run(command);
    CHECK(result.status == 2);
    CHECK(count_lines(result.error) == 1);
    CHECK(result.out.empty());
  }
  CHECK_FALSE(shop.exists("machine.json"));
}

}  // namespace attune::test
