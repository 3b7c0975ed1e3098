// A plan remembers the backend that it was compiled and budgeted for.
#include <doctest/doctest.h>

#include <set>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

std::set<std::string> backends(const Workshop& shop, const std::string& options) {
  std::set<std::string> names;
  const auto result = shop.run("inspect net.att --json " + options);
  REQUIRE_MESSAGE(result.status == 0, result.error);
  const auto json = result.json();
  for (const auto& program : json["programs"])
    for (const auto& step : program["steps"]) names.insert(step["backend"].get<std::string>());
  return names;
}

void compile(const Workshop& shop, const std::string& options) {
  const auto result =
      shop.run("compile net.onnx -o net.att --scheme full --batch-size 4 " + options);
  REQUIRE_MESSAGE(result.status == 0, result.error);
}

}  // namespace

TEST_CASE("sessions of a plan run on the backend that it was compiled for, unless told otherwise") {
  Workshop shop;
  const std::set<std::string> reference{"reference"};
  compile(shop, "");
  CHECK(backends(shop, "") != reference);
  CHECK_FALSE(contains(shop.run("inspect net.att").out, "as compiled"));
  REQUIRE(shop.run("train net.att --data data.npz --epochs 2 --backend reference --checkpoint "
                   "expected.atc --quiet")
              .status == 0);

  compile(shop, "--backend reference --memory 128KiB");
  CHECK(backends(shop, "") == reference);
  CHECK(contains(shop.run("inspect net.att").out, "reference, as compiled"));
  const auto trained = shop.run("train net.att --data data.npz --epochs 2");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(contains(trained.out, "reference, as compiled"));
  CHECK(shop.read("net.atc") == shop.read("expected.atc"));
  CHECK(contains(shop.run("evaluate net.att --data data.npz").out, "reference, as compiled"));

  CHECK(backends(shop, "--backend best") != reference);
  const std::string note = "best; the plan keeps within 131.1 kB with reference alone";
  for (const char* command :
       {"inspect net.att --backend best", "evaluate net.att --data data.npz --backend best",
        "train net.att --data data.npz --backend best --checkpoint b.atc"})
    CHECK(contains(shop.run(command).out, note));
  compile(shop, "--backend reference");
  CHECK(contains(shop.run("inspect net.att --backend best").out,
                 "best; the plan was compiled for reference"));
}

TEST_CASE("--memory finds the backend that fits, and refuses where none does") {
  Workshop shop;
  const auto ram = [&](const std::string& backend) {
    const auto result = shop.run(
        "compile net.onnx -o net.att --scheme full --batch-size 4 --json "
        "--memory-tiling off --micro-batch 4 --memory 1MiB --backend " +
        backend);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.json()["cost"]["memory"].get<int64_t>();
  };
  const int64_t fastest = ram("best"), least = ram("reference");
  REQUIRE(least < fastest);  // else this shows nothing
  const std::string compile =
      "compile net.onnx -o net.att --scheme full --batch-size 4 --memory-tiling off --micro-batch "
      "4 "
      "--memory ";
  const auto found = shop.run(compile + std::to_string(least));
  REQUIRE_MESSAGE(found.status == 0, found.error);
  CHECK(contains(found.error, "compiled for --backend reference"));
  CHECK(backends(shop, "") == std::set<std::string>{"reference"});
  const auto roomy = shop.run(compile + std::to_string(fastest));
  CHECK(roomy.error.empty());
  CHECK(backends(shop, "") != std::set<std::string>{"reference"});
  check_refused(shop.run(compile + std::to_string(least - 1)), "--memory");
  // Who names one gets that one.
  check_refused(shop.run(compile + std::to_string(least) + " --backend best"), "--memory");
}

}  // namespace attune::test
