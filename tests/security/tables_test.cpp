// Tables, and JSON that says how to read them, that are made to take for ever: much of what a table
// is looked up in grows with the files, too.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/security/limit.h"
#include "tests/support/npz.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr int kMany = 300'000;

// "0,1,2,..", each in what `format` puts around it.
std::string numbered(const char* format) {
  std::string text;
  for (int i = 0; i < kMany; ++i) {
    if (i > 0) text += ',';
    text += fmt::format(fmt::runtime(format), i);
  }
  return text;
}

// width inputs, classes.
void compile_linear(const Workshop& shop, int width, int classes, const char* options = "") {
  OnnxBuilder b;
  b.input("x", {-1, width}).output("y").tensor("w", {width, classes}, 0, 0);
  b.node("MatMul", {"x", "w"}, {"y"});
  shop.write("linear.onnx", b.bytes());
  REQUIRE(shop.run(fmt::format("compile linear.onnx -o linear.att --scheme full -q {}", options))
              .status == 0);
}

}  // namespace

TEST_CASE("as many categories as anyone writes are found in a moment") {
  Workshop shop;
  compile_linear(shop, 1, 3);
  shop.write("columns.json",
             R"({"columns": [{"column": "a", "categories": [)" + numbered("{}") + "]}]}");
  std::string table = "a,label\n";
  for (int i = 0; i < 20'000; ++i) table += fmt::format("{}.0,{}\n", kMany - 1 - i, i % 3);
  shop.write("t.csv", table);
  const Limit limit(RLIMIT_CPU, kSeconds);
  const auto result = shop.run("evaluate linear.att --data t.csv --columns columns.json");
  CHECK(result.error.find("attune: t.csv: inputs from `a`") == 0);
  CHECK(result.status == 0);
}

TEST_CASE("as many columns as anyone writes are found in a moment") {
  Workshop shop;
  compile_linear(shop, 1, 3);
  shop.write("columns.json", R"({"columns": [)" + numbered(R"({{"column":"c{}"}})") + "]}");
  shop.write("t.csv", numbered("c{}") + ",label\n" + numbered("{}") + ",1\n");
  const Limit limit(RLIMIT_CPU, kSeconds);
  check_refused(shop.run("evaluate linear.att --data t.csv --columns columns.json"),
                "--columns gives 300000 numbers to the model's input `x`, which takes 1");
}

TEST_CASE("numbers of categories are held against the limit before they are made") {
  Workshop shop;
  constexpr int kWidth = 1000, kRows = 1000;
  compile_linear(shop, kWidth, 3);
  std::string categories = "0", table = "a,label\n";
  for (int i = 1; i < kWidth; ++i) categories += fmt::format(",{}", i);
  for (int i = 0; i < kRows; ++i) table += fmt::format("{},{}\n", i, i % 3);
  shop.write("columns.json", R"({"columns": [{"column": "a", "one_hot": [)" + categories + "]}]}");
  shop.write("t.csv", table);
  const std::string evaluate = "evaluate linear.att --data t.csv --columns columns.json";
  CHECK(shop.run(evaluate).status == 0);
  check_refused(shop.run(evaluate + " --max-input-bytes 1MB"),
                "t.csv: 8000000 bytes, and at most 1000000 are read");
}

TEST_CASE("as many classes as anyone names are found in a moment") {
  Workshop shop;
  std::string labels;
  for (int i = 0; i < kMany; ++i) labels += fmt::format("nan({})\n", i);
  shop.write("labels.txt", labels);
  compile_linear(shop, 1, kMany, "--batch-size 1 --labels labels.txt");
  shop.write("t.csv", "a,label\n1,nan(0)\n2,nan(299999)\n");
  const Limit limit(RLIMIT_CPU, kSeconds);
  CHECK(shop.run("evaluate linear.att --data t.csv").status == 0);

  const NpyArray one{NpyType::f32, {1}, std::vector<std::byte>(4)};
  const Bytes file = npy_of(one);
  shop.write("a.npy", {reinterpret_cast<const char*>(file.data()), file.size()});
  std::string list = "path,label\n";
  for (int i = 0; i < 60'000; ++i) list += "a.npy,nan(299999)\n";
  shop.write("list.csv", list + "none.npy,nan(0)\n");
  check_refused(shop.run("evaluate linear.att --data list.csv"), "none.npy: no such file");
}

TEST_CASE("a table of nothing but names holds no example") {
  Workshop shop;
  compile_linear(shop, 4, 3);
  shop.write("t.csv", "a,0,1,2\n");
  check_refused(shop.run("evaluate linear.att --data t.csv"), "t.csv: holds no example");
}

TEST_CASE("a cache of results is not read where it is longer than any") {
  Workshop shop;
  shop.write("long.jsonl", "{\"key\":\"");
  REQUIRE(truncate(shop.path("long.jsonl").c_str(), off_t{3} << 30) == 0);
  const Limit memory(RLIMIT_AS, rlim_t{600} << 20);
  check_refused(
      shop.run("sensitivity net.onnx --data data.npz -q --estimator measured --cache long.jsonl"),
      "long.jsonl: has 3221225472 bytes, and caches of at most 16777216 are read");
}

}  // namespace attune::test
