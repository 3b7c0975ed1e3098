#include <doctest/doctest.h>

#include "tests/cli/command.h"

namespace attune::test {

TEST_CASE("gradients that a plan keeps are told by compile and inspect, and cost what these say") {
  Workshop shop;
  const std::string compile = "compile net.onnx --scheme full --batch-size 4 ";
  const auto plain = shop.run(compile + "-o plain.att --json");
  const auto keeping = shop.run(compile + "-o net.att --keep-gradients --json");
  REQUIRE_MESSAGE(keeping.status == 0, keeping.error);
  CHECK(plain.json()["kept_gradient_bytes"] == 0);
  const size_t bytes = keeping.json()["kept_gradient_bytes"].get<size_t>();
  CHECK(bytes == 4 * keeping.json()["trained_elements"].get<size_t>());
  CHECK(keeping.json()["arena_bytes"].get<size_t>() >= plain.json()["arena_bytes"].get<size_t>());

  const auto inspected = shop.run("inspect net.att --json").json();
  CHECK(inspected["memory"]["kept_gradients"] == bytes);
  size_t gradients = 0;
  for (const auto& port : inspected["programs"][0]["ports"])
    gradients += port["role"] == "gradient";
  CHECK(gradients == inspected["parameters"].size());
  CHECK(shop.run("inspect net.att").out.find("- gradients") != std::string::npos);
  CHECK(shop.run("inspect plain.att").out.find("- gradients") == std::string::npos);
  CHECK(shop.run(compile + "-o text.att --keep-gradients").out.find("kept until the next run") !=
        std::string::npos);

  // It learns the same, to the bit, and checkpoints go from the one to the other.
  const std::string train = " --data data.npz --epochs 2 --checkpoint ";
  REQUIRE(shop.run("train plain.att" + train + "plain.atc").status == 0);
  REQUIRE(shop.run("train net.att" + train + "net.atc").status == 0);
  CHECK(shop.read("plain.atc") == shop.read("net.atc"));
  CHECK(shop.run("evaluate net.att --checkpoint plain.atc --data data.npz").status == 0);
}

}  // namespace attune::test
