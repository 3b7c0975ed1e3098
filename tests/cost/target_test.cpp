// The file that describes a machine: what it may say, and what it may not.
#include "sparse_update/cost/target.h"

#include <doctest/doctest.h>

#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

Target read(const std::string& text) {
  const TempFolder folder;
  return read_target(folder.write("machine.json", text));
}

constexpr const char* kByHand = R"({
  "name": "board", "threads": 4, "gflop_s": 50, "step_us": 2,
  "bandwidth": [{"bytes": 4e6, "gb_s": 4}, {"bytes": 1e4, "gb_s": 16}],
  "points": [{"op": "conv2d", "backend": "simd", "kind": "3x3", "macs": 1000000, "bytes": 5000,
              "program_bytes": 70000, "gflop_s": 20},
             {"op": "add", "bytes": 1000000, "gb_s": 2},
             {"op": "add", "kind": "same", "shape": "f32:8 f32:8 > f32:8", "bytes": 96, "us": 3.5}]})";

TEST_CASE("a target written by hand: rates become times") {
  const Target target = read(kByHand);
  CHECK(target.name == "board");
  CHECK(target.threads == 4);
  REQUIRE(target.bandwidth.size() == 2);
  CHECK(target.bandwidth[0].bytes == 1e4);  // sorted
  REQUIRE(target.points.size() == 3);
  CHECK(target.points[0].op == Op::conv2d);
  CHECK(target.points[0].backend == Backend::simd);
  CHECK(target.points[0].kind == "3x3");
  CHECK(target.points[0].us == doctest::Approx(100));  // 2 Mflop at 20 GFLOP/s
  CHECK(target.points[0].program_bytes == 70000);
  CHECK(target.points[1].program_bytes == 0);
  CHECK(target.points[1].us == doctest::Approx(500));  // 1 MB at 2 GB/s
  CHECK_FALSE(target.points[1].backend.has_value());
  CHECK_FALSE(target.points[1].kind.has_value());
  CHECK(target.points[2].us == 3.5);
  CHECK(target.points[2].shape == "f32:8 f32:8 > f32:8");
}

TEST_CASE("bandwidth is interpolated in log space, and stays what it is beyond the ends") {
  const Target target = read(kByHand);
  CHECK(target.gb_s(1) == 16);
  CHECK(target.gb_s(1e4) == 16);
  CHECK(target.gb_s(2e5) == doctest::Approx(8));  // halfway between 1e4 and 4e6
  CHECK(target.gb_s(4e6) == doctest::Approx(4));
  CHECK(target.gb_s(1e12) == 4);
}

TEST_CASE("the roofline is the longer of arithmetic and traffic, and what a step takes at least") {
  const Target target = read(kByHand);
  CHECK(target.roofline_us(0, 0) == 2);
  CHECK(target.roofline_us(50'000'000, 1000) == doctest::Approx(2000 + 2));
  CHECK(target.roofline_us(1000, 8'000'000) == doctest::Approx(2000 + 2));
}

TEST_CASE("a target's text reads back as the same target") {
  const Target target = read(kByHand);
  const Target again = read(target_text(target));
  CHECK(target_text(again) == target_text(target));
  CHECK(again.points.size() == target.points.size());
  CHECK(again.points[1].us == target.points[1].us);
  for (size_t i = 0; i < 3; ++i)
    CHECK(again.points[i].program_bytes == target.points[i].program_bytes);
  CHECK(again.gb_s(2e5) == target.gb_s(2e5));
}

TEST_CASE("bad targets are refused with the key and what is there instead") {
  const auto with = [](const std::string& points) {
    return R"({"name": "m", "gflop_s": 1, "bandwidth": [{"bytes": 1, "gb_s": 1}], "points": [)" +
           points + "]}";
  };
  const std::pair<std::string, const char*> kBad[] = {
      {"{", "is not JSON"},
      {"[]", "not an object"},
      {"{}", "has no name"},
      {R"({"name": 3})", "name is 3, not a text"},
      {R"({"name": "m"})", "has no gflop_s"},
      {R"({"name": "m", "gflop_s": "fast"})", "gflop_s is \"fast\""},
      {R"({"name": "m", "gflop_s": 0})", "gflop_s is 0"},
      {R"({"name": "m", "gflop_s": 1})", "has no bandwidth"},
      {R"({"name": "m", "gflop_s": 1, "bandwidth": 3})", "bandwidth is not a list"},
      {R"({"name": "m", "gflop_s": 1, "bandwidth": []})", "bandwidth is empty"},
      {R"({"name": "m", "gflop_s": 1, "bandwidth": [{"bytes": 1}]})", "has no gb_s"},
      {R"({"name": "m", "gflop_s": 1, "threads": 0, "bandwidth": []})", "threads is 0"},
      {R"({"name": "m", "gflop_s": 1, "threads": 1.9, "bandwidth": []})", "threads is 1.9, not a"},
      {R"({"name": "m", "gflops": 1})", "unknown key 'gflops'"},
      {with("3"), "not an object"},
      {with(R"({"op": "convolve", "bytes": 1, "us": 1})"), "no operator 'convolve'"},
      {with(R"({"op": "add", "backend": "cuda", "bytes": 1, "us": 1})"), "no backend 'cuda'"},
      {with(R"({"op": "add", "us": 1})"), "has no bytes"},
      {with(R"({"op": "add", "bytes": 1})"), "needs one of us, gflop_s, gb_s"},
      {with(R"({"op": "add", "bytes": 1, "us": 1, "gb_s": 1})"), "needs one of"},
      {with(R"({"op": "add", "bytes": 1, "gflop_s": 1})"), "without macs"},
      {with(R"({"op": "add", "bytes": 1, "program_bytes": -1, "us": 1})"), "program_bytes is -1"},
      {with(R"({"op": "add", "bytes": 1.5, "us": 1})"), "bytes is 1.5, not a whole"},
      {with(R"({"op": "add", "bytes": 1, "us": -1})"), "us is -1"}};
  for (const auto& [text, message] : kBad) {
    CAPTURE(text);
    const std::string error = error_of([&] { read(text); });
    CHECK(contains(error, message));
    CHECK(contains(error, "machine.json"));
  }
  CHECK(contains(error_of([] { read_target("/nowhere/machine.json"); }), "/nowhere/machine.json"));
}

}  // namespace
}  // namespace attune::test
