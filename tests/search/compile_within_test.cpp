#include "sparse_update/pipeline/compile_within.h"

#include <doctest/doctest.h>

#include "graph/ir/error.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/pipeline/largest_items.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// Wide early layers, which set the peak of a sparse update until they are tiled.
struct Subject {
  ModelPtr model;
  CompileOptions options;
  CostModel costs{1, BackendChoice::reference};

  explicit Subject(const std::string& scheme, int blocks = 4)
      : model(mobile_network({48, {4, 8, 12}, 2, 3, blocks, false, false})) {
    options.scheme = scheme;
    options.batch = 1;
    options.optimizer.kind = OptimizerKind::sgd;
  }
  Cost cost(bool tile, int64_t arena_budget = 0) {
    CompileOptions with = options;
    with.tile = with.split_gradients = tile;
    with.arena_budget = arena_budget, with.arena_may_exceed = true;
    return costs.cost(compile(*model, with).contents);
  }
  CompiledWithin within(size_t bytes, bool tile = true) {
    Budget budget;
    budget.memory_bytes = bytes;
    return compile_within(*model, options, tile, budget, costs, "net");
  }
};

TEST_CASE("what fits as it is, is compiled as it is") {
  Subject subject("bias:2");
  const Cost whole = subject.cost(false);
  const CompiledWithin made = subject.within(whole.ram_bytes());
  CHECK(made.compiled.plan == compile(*subject.model, subject.options).plan);
  CHECK(made.cost.ram_bytes() == whole.ram_bytes());
}

TEST_CASE("where memory lacks, the first layers are tiled, and no more than is needed") {
  Subject subject("bias:2");
  const Cost whole = subject.cost(false), smallest = subject.cost(true);
  REQUIRE(smallest.ram_bytes() < whole.ram_bytes());
  for (const double share : {0.0, 0.3, 0.7, 0.99}) {
    CAPTURE(share);
    const size_t room =
        static_cast<size_t>(share * static_cast<double>(whole.ram_bytes() - smallest.ram_bytes()));
    const CompiledWithin made = subject.within(smallest.ram_bytes() + room);
    CHECK(made.cost.ram_bytes() <= smallest.ram_bytes() + room);
    CHECK(made.cost.ram_bytes() == subject.costs.cost(made.compiled.contents).ram_bytes());
    CHECK(made.cost.program_bytes <= smallest.program_bytes);
  }
  CHECK(error_of([&] { subject.within(whole.ram_bytes() - 1, false); }).starts_with("net needs "));
}

TEST_CASE("where tiling is not enough, activations are computed twice") {
  Subject subject("full");
  const Cost tiled = subject.cost(true), least = subject.cost(true, 1);
  REQUIRE(least.ram_bytes() < tiled.ram_bytes());
  const CompiledWithin made = subject.within(least.ram_bytes());
  CHECK(made.cost.ram_bytes() <= least.ram_bytes());
  CHECK(made.cost.train_macs > tiled.train_macs);
}

TEST_CASE("a batch is gone through in parts before anything is computed twice, as large as fit") {
  Subject subject("full", 1);
  subject.options.batch = 6;
  const auto of_micro_batches = [&](int size) {
    CompileOptions with = subject.options;
    with.micro_batch = size;
    return subject.costs.cost(compile(*subject.model, with).contents);
  };
  const Cost whole = subject.cost(false), strips = subject.cost(true);
  const Cost three = of_micro_batches(3), one = of_micro_batches(1);
  REQUIRE(one.ram_bytes() < three.ram_bytes());
  REQUIRE(three.ram_bytes() < strips.ram_bytes());
  const CompiledWithin halves = subject.within(three.ram_bytes());
  CHECK(halves.cost.ram_bytes() <= three.ram_bytes());
  CHECK(halves.cost.train_macs == whole.train_macs);
  CHECK(contains(halves.compiled.contents.options, "\"micro_batch\":3"));
  const CompiledWithin ones = subject.within(one.ram_bytes(), false);
  CHECK(ones.cost.train_macs == whole.train_macs);
  CHECK(ones.cost.ram_bytes() <= one.ram_bytes());
  CHECK(contains(error_of([&] { subject.within(one.ram_bytes() / 4, false); }),
                 "the smallest plan, in micro-batches, needs "));
  // Who says how large has it so.
  subject.options.micro_batch = 6;
  CHECK(error_of([&] { subject.within(three.ram_bytes(), false); }).starts_with("net needs "));
}

TEST_CASE("what was tried for one arena changes nothing for the next") {
  const Subject subject("full");
  const auto compiled = [&](int64_t arena, ScheduledPrograms* scheduled) {
    CompileOptions options = subject.options;
    options.tile = options.split_gradients = arena != 0;
    options.arena_budget = arena, options.arena_may_exceed = true;
    return scheduled ? compile(*subject.model, options, *scheduled)
                     : compile(*subject.model, options);
  };
  const int64_t whole = compiled(0, nullptr).contents.programs.front().memory.arena_bytes;
  ScheduledPrograms scheduled;
  for (const int64_t arena : {int64_t{0}, whole * 3 / 4, whole / 3, int64_t{1}, whole / 2}) {
    CAPTURE(arena);
    CHECK(compiled(arena, &scheduled).plan == compiled(arena, nullptr).plan);
  }
}

TEST_CASE("the steps with the most work are those of all micro-batches") {
  Subject subject("full");
  subject.options.batch = 4;
  const auto largest = [&](int micro_batch) {
    subject.options.micro_batch = micro_batch;
    return largest_in_time(compile(*subject.model, subject.options).contents, 3);
  };
  CHECK(largest(2) == largest(0));
}

TEST_CASE("the error where nothing fits is about the smallest plan") {
  Subject subject("full");
  const size_t least = subject.cost(true, 1).ram_bytes();
  const std::string error = error_of([&] { subject.within(least / 2); });
  CHECK(error.starts_with("net: the smallest plan, in strips and recomputed, needs " +
                          exact_bytes_text(least) + " of memory, --memory allows "));
  for (const char* part : {"state", "arena", "workspace", "session", "train_step"})
    CHECK(contains(error, part));
}

}  // namespace
}  // namespace attune::test
