#include "sparse_update/pipeline/budget.h"

#include <doctest/doctest.h>

#include "graph/ir/error.h"
#include "tests/cost/support.h"
#include "tests/search/subjects.h"

namespace attune::test {

TEST_CASE("amounts of memory are read with their units") {
  const auto bytes = [](const char* text) { return parse_bytes("--memory", text); };
  CHECK(bytes("300000") == 300000);
  CHECK(bytes("1B") == 1);
  CHECK(bytes("256KiB") == 262144);
  CHECK(bytes("1kB") == 1000);
  CHECK(bytes("1.5MB") == 1500000);
  CHECK(bytes("0.5MiB") == 524288);
  CHECK(bytes("2GiB") == size_t{2} << 30);
}

TEST_CASE("too much memory names what takes it: other kernels help where these take a quarter") {
  Budget budget;
  budget.memory_bytes = 100;
  const auto refusal = [&](uint64_t arena, uint64_t workspace) {
    Cost cost;
    cost.arena_bytes = arena;
    cost.workspace_bytes = workspace;
    return error_of([&] { check_budget(budget, cost, {}, "the plan"); });
  };
  CHECK(contains(refusal(300, 10), "give a smaller --batch-size, or a scheme that trains less"));
  CHECK(contains(refusal(300, 200), "--batch-size, --backend reference, or a scheme"));
  CHECK(contains(refusal(200, 300), "most of it is the kernels' own: --backend reference"));
}

TEST_CASE("what is no amount of memory is refused with the option's name") {
  for (const char* text :
       {"",      "0",       "0KiB",   "-5",     "+5",  "12XB",
        "KiB",   ".",       "1..5MB", "1.5.2",  "nan", "inf",
        "1e3",   "0x10",    "12 KiB", "12KiB ", "0.2", "99999999999999999999999GiB",
        "1e400", "12KiBKiB"}) {
    CAPTURE(text);
    const std::string error = error_of([&] { parse_bytes("--memory", text); });
    CHECK(error.starts_with("--memory " + std::string(text)));
    CHECK(contains(error, "256KiB"));
  }
}

TEST_CASE("times need a unit") {
  CHECK(parse_milliseconds("--latency", "40ms") == 40);
  CHECK(parse_milliseconds("--latency", "1.5s") == 1500);
  CHECK(parse_milliseconds("--latency", "800us") == doctest::Approx(0.8));
  for (const char* text : {"", "40", "0ms", "-1ms", "40min", "ms", "1e5ms"}) {
    CAPTURE(text);
    const std::string error = error_of([&] { parse_milliseconds("--latency", text); });
    CHECK(contains(error, "give e.g. 40ms"));
  }
}

TEST_CASE("a budget is kept to the byte, and its error says what is large") {
  const Compiled compiled = compile(small_net(), options_for("bias:1"));
  CostModel costs(flat_target(1));
  const Cost cost = costs.cost(compiled.contents);
  const auto error = [&](const Budget& budget) {
    return error_of([&] { check_budget(budget, cost, compiled.contents, "net"); });
  };
  CHECK(error({}) == "");
  CHECK(error({.memory_bytes = cost.ram_bytes(),
               .flash_bytes = cost.flash_bytes(),
               .latency_ms = cost.train_step_ms})
            .empty());
  const std::string memory =
      error({.memory_bytes = cost.ram_bytes() - 1, .flash_bytes = {}, .latency_ms = {}});
  CHECK(memory.starts_with("net needs "));
  for (const char* part : {"state", "arena", "workspace", "session", "train_step"})
    CHECK(contains(memory, part));
  CHECK(!contains(memory, "--flash"));
  const std::string flash = error({.memory_bytes = {},
                                   .flash_bytes = cost.flash_bytes() - 1,
                                   .latency_ms = cost.train_step_ms / 2});
  CHECK(contains(flash, "--flash allows"));
  CHECK(contains(flash, "expand.weight"));
  CHECK(contains(flash, "--latency allows"));
  CHECK(!contains(flash, "--memory"));
}

}  // namespace attune::test
