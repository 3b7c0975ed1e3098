#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <span>

#include "attune/plan.h"
#include "tests/cli/command.h"

namespace attune::test {

TEST_CASE("a checkpoint with NaN under a right checksum is refused by whatever reads it") {
  Workshop shop;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 --quiet").status == 0);
  std::string bytes = shop.read("net.atc");
  const float nan = std::nanf("");
  std::memcpy(bytes.data() + bytes.size() - 12, &nan, sizeof(nan));
  const uint64_t checksum = hash64(std::as_bytes(std::span(bytes).first(bytes.size() - 8)));
  std::memcpy(bytes.data() + bytes.size() - 8, &checksum, sizeof(checksum));
  shop.write("nan.atc", bytes);
  for (const char* command : {"evaluate net.att --data data.npz --checkpoint nan.atc",
                              "predict net.att one.npy --checkpoint nan.atc",
                              "export net.att --model net.onnx --checkpoint nan.atc -o m.onnx",
                              "train net.att --data data.npz --resume nan.atc --epochs 2",
                              "train net.att --data data.npz --from nan.atc --checkpoint new.atc"})
    check_refused(shop.run(command), "holds numbers that are not finite");
  CHECK(shop.read("nan.atc") == bytes);
  CHECK_FALSE(shop.exists("m.onnx"));
  CHECK_FALSE(shop.exists("new.atc"));
}

}  // namespace attune::test
