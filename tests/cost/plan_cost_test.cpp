// Costs of graphs that are only planned, against what a session of the plan reports.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "engine/format/plan_tensor.h"
#include "sparse_update/cost/cost.h"
#include "sparse_update/cost/program_estimate.h"
#include "tests/cost/support.h"

namespace attune::test {
namespace {

// Every byte and every millisecond of a plan, by both ways to it.
void check_costs(const Model& model, const CompileOptions& options, CostModel& costs,
                 const Rates& rates, BackendChoice backend) {
  const CompiledPlan compiled(model, options);
  Cost cost = costs.cost(compiled.contents());
  const auto session = compiled.session({.backend = backend, .threads = rates.target().threads});
  const MemoryReport memory = session->memory();
  CHECK(cost.constants_bytes == memory.constants);
  CHECK(cost.state_bytes == memory.state);
  CHECK(cost.arena_bytes == memory.arena);
  CHECK(cost.workspace_bytes == memory.workspace);
  CHECK(cost.session_bytes == memory.session);
  CHECK(cost.ram_bytes() == memory.ram());
  CHECK(cost.ram_bytes() + cost.constants_bytes == memory.total());
  CHECK(cost.flash_bytes() == compiled.plan().file_bytes());
  CHECK(cost.train_macs == total_macs(*compiled.plan().program(ProgramKind::train_step)));
  for (const ProgramEstimate& program : estimate(*session, rates))
    CHECK(cost.ms(program.kind) == doctest::Approx(program.ms()));
}

TEST_CASE("a cost has the bytes that a session reports and the time that its steps add up to") {
  for (const BackendChoice backend :
       {BackendChoice::best, BackendChoice::reference, BackendChoice::eigen, BackendChoice::simd}) {
    const Rates rates(flat_target(2));
    CostModel costs(flat_target(2), backend);
    for (const char* scheme : {"full", "head", "last:2", "bias:3"})
      for (const int batch : {1, 5}) {
        CAPTURE(std::string(scheme));
        CAPTURE(batch);
        CompileOptions options;
        options.scheme = scheme;
        options.batch = batch;
        options.tile = batch == 1;
        check_costs(*small_network(), options, costs, rates, backend);
        options.batch *= 4, options.micro_batch = batch;
        const uint64_t of_one = costs.cost(compile(*small_network(), options).contents).train_macs;
        check_costs(*small_network(), options, costs, rates, backend);
        options.micro_batch = 0;
        CHECK(costs.cost(compile(*small_network(), options).contents).train_macs == of_one);
      }
  }
}

TEST_CASE("a cost of a real network, sliced, has the bytes that a session reports") {
  const auto models = std::filesystem::path(ATTUNE_SOURCE_DIR) / "../shared/models";
  if (!std::filesystem::exists(models)) {
    MESSAGE("skipped: there is no " << models.string());
    return;
  }
  const Rates rates(flat_target(1));
  CostModel costs(flat_target(1));
  const ModelPtr model = load_model((models / "mcunet-5fps-f32.onnx").string());
  for (const char* kib : {"49", "99"}) {
    CompileOptions options;
    options.classes = 10;
    options.batch = 2;
    options.scheme =
        fmt::format("{}/examples/schemes/mcunet-5fps-{}kb.json", ATTUNE_SOURCE_DIR, kib);
    check_costs(*model, options, costs, rates, BackendChoice::best);
  }
}

TEST_CASE("without a target, a cost has the bytes and the multiply-adds but no time") {
  CompileOptions options;
  options.scheme = "bias:3";
  const CompiledPlan compiled(*small_network(), options);
  CostModel with(flat_target(2)), without(2);
  const Cost timed = with.cost(compiled.contents()), cost = without.cost(compiled.contents());
  CHECK(timed.train_step_ms > 0);
  CHECK(cost.train_step_ms == 0);
  CHECK(cost.train_macs == timed.train_macs);
  CHECK(cost.ram_bytes() == timed.ram_bytes());
  CHECK(cost.flash_bytes() == timed.flash_bytes());
}

TEST_CASE("one program alone costs what it costs in the plan") {
  CompileOptions options;
  options.scheme = "full";
  const CompiledPlan compiled(*small_network(), options);
  CostModel costs(flat_target(1));
  const Cost whole = costs.cost(compiled.contents());
  PlanContents train;
  train.programs.push_back(compiled.contents().programs.front());
  train.parameters = compiled.contents().parameters;
  const Cost alone = costs.cost(train);
  CHECK(alone.train_step_ms == whole.train_step_ms);
  CHECK(alone.train_step_ms > 0);
  CHECK(alone.predict_ms == 0);
  CHECK(alone.state_bytes == whole.state_bytes);
  CHECK(alone.session_bytes < whole.session_bytes);
  CHECK(alone.file_bytes < whole.file_bytes);
}

}  // namespace
}  // namespace attune::test
