#include <doctest/doctest.h>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {

TEST_CASE("compile keeps to a budget, to the byte") {
  Workshop shop;
  const std::string compile = "compile net.onnx -o net.att --scheme full --json --quiet ";
  const auto roomy = shop.run(compile + "--memory 1GiB --flash 1GiB");
  REQUIRE_MESSAGE(roomy.status == 0, roomy.error);
  const auto cost = roomy.json()["cost"];
  const auto inspected = shop.run("inspect net.att --json").json();
  CHECK(cost["memory"].get<size_t>() + cost["constants"].get<size_t>() ==
        inspected["memory"]["total"].get<size_t>());
  CHECK(cost["flash"] == inspected["file_bytes"]);
  const size_t memory = cost["memory"], flash = cost["flash"];

  shop.remove("net.att");
  CHECK(shop.run(compile + "--memory " + std::to_string(memory)).status == 0);
  CHECK(shop.run(compile + "--flash " + std::to_string(flash)).status == 0);
  shop.remove("net.att");
  const std::string less = "--memory-tiling off --memory " + std::to_string(memory - 1);
  check_refused(shop.run(compile + "--backend best --micro-batch 8 " + less),
                "net.onnx with --scheme full needs ");
  check_refused(shop.run(compile + "--memory 1000"), "with --scheme full: the smallest plan");
  check_refused(shop.run(compile + "--flash " + std::to_string(flash - 1)), "--flash allows");
  shop.write("slow.json",
             R"({"name": "slow", "gflop_s": 0.002, "bandwidth": [{"bytes": 1, "gb_s": 1}]})");
  check_refused(shop.run(compile + "--latency 1us --target slow.json"), "--latency allows");
  CHECK(!shop.exists("net.att"));
}

TEST_CASE("the budget counts the backend that is asked for") {
  Workshop shop;
  for (const std::string backend : {"reference", "eigen"}) {
    const auto compiled =
        shop.run("compile net.onnx -o net.att --json --memory 1GiB --backend " + backend);
    REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
    const auto inspected = shop.run("inspect net.att --json --backend " + backend).json();
    CHECK(compiled.json()["cost"]["workspace"] == inspected["memory"]["workspace"]);
  }
}

TEST_CASE("without a target, --latency goes by steps measured here") {
  Workshop shop;
  const std::string compile = "compile net.onnx -o net.att --scheme full --json --quiet ";
  CHECK(shop.run(compile + "--memory 1GiB").json()["cost"]["ms"] == 0);
  const auto accepted = shop.run(compile + "--latency 1000s");
  REQUIRE_MESSAGE(accepted.status == 0, accepted.error);
  const double ms = accepted.json()["cost"]["ms"];
  CHECK(ms > 0);
  CHECK(ms < 1e6);

  shop.remove("net.att");
  const auto refused = shop.run(compile + "--latency 0.001us");
  check_refused(refused, "--latency allows 1e-06 ms");
  // It tells what the plan takes.
  const std::string takes = "net.onnx with --scheme full takes ";
  REQUIRE(contains(refused.error, takes));
  const std::string figure = refused.error.substr(refused.error.find(takes) + takes.size());
  CHECK(std::stod(figure) > 1e-6);
  CHECK(contains(figure, " ms a training step"));
  CHECK(!shop.exists("net.att"));
}

TEST_CASE("budgets that are none are refused before anything is written") {
  Workshop shop;
  const std::string compile = "compile net.onnx -o net.att ";
  for (const char* amount : {"0", "12XB", "99999999999999999999999GiB", "-1", "nan"}) {
    CAPTURE(amount);
    check_refused(shop.run(compile + "--memory=" + amount), "is no number of bytes");
    check_refused(shop.run(compile + "--flash=" + amount), "is no number of bytes");
    check_refused(shop.run(compile + "--latency=" + amount), "is no time");
  }
  check_refused(shop.run(compile + "--memory="), "--memory");
  CHECK(!shop.exists("net.att"));
}

TEST_CASE("a scheme may be given as JSON itself") {
  Workshop shop;
  REQUIRE(shop.run(R"(compile net.onnx -o a.att --scheme {"bias_last":1})").status == 0);
  REQUIRE(shop.run("compile net.onnx -o b.att --scheme bias:1").status == 0);
  CHECK(shop.run("inspect a.att --scheme").out == shop.run("inspect b.att --scheme").out);
  check_refused(shop.run(R"(compile net.onnx -o c.att --scheme {"bias_last":)"), "is not JSON");
  check_refused(shop.run(R"(compile net.onnx -o c.att --scheme {"bias_last":9})"), "last 9 layers");
}

}  // namespace attune::test
