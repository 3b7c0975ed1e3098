#include "cli/budget_options.h"

#include <deque>

#include "cli/profile_machine.h"
#include "sparse_update/pipeline/plan_in_memory.h"

namespace attune::cli {
namespace {

constexpr int kRounds = 2;  // of measuring

Target measured_here(const SessionChoice& session, const Model& model,
                     const CompileOptions& options, const std::vector<std::string>& schemes) {
  std::deque<PlanInMemory> memory;  // plans stay where they are
  std::vector<ProfiledPlan> plans;
  for (const std::string& scheme : schemes) {
    CompileOptions compile_with = options;
    compile_with.scheme = scheme;
    memory.emplace_back(compile(model, compile_with).plan, model.path());
    plans.push_back({scheme, &memory.back().plan()});
  }
  return profile_machine(plans, {session, kRounds, ""}, [](const std::string&) {});
}

}  // namespace

void BudgetOptions::add(CLI::App* verb) {
  verb_ = verb;
  verb->add_option("--memory", memory_,
                   "The RAM that a session may take: state, arena, workspace and session, e.g. "
                   "256KiB (default: any)");
  verb->add_option("--flash", flash_, "What the plan file may take, e.g. 1MiB (default: any)");
  verb->add_option("--latency", latency_,
                   "What a training step may take, e.g. 40ms, on --target, or else measured here "
                   "(default: any)");
  target_.add(verb);
}

Budget BudgetOptions::budget() const {
  Budget budget;
  if (given("--memory")) budget.memory_bytes = parse_bytes("--memory", memory_);
  if (given("--flash")) budget.flash_bytes = parse_bytes("--flash", flash_);
  if (given("--latency")) budget.latency_ms = parse_milliseconds("--latency", latency_);
  return budget;
}

std::unique_ptr<CostModel> BudgetOptions::cost_model(
    const SessionChoice& session, const Model& model, const CompileOptions& options,
    const std::vector<std::string>& schemes) const {
  const BackendChoice backend = session.options().backend;
  std::optional<Target> target = target_.target(session.threads);
  if (!target && budget().latency_ms) target = measured_here(session, model, options, schemes);
  if (!target) return std::make_unique<CostModel>(session.threads, backend);
  target->threads = session.threads;  // of the session whose bytes are counted
  return std::make_unique<CostModel>(std::move(*target), backend);
}

Json cost_json(const Cost& cost) {
  return Json{{"memory", cost.ram_bytes()},        {"state", cost.state_bytes},
              {"arena", cost.arena_bytes},         {"workspace", cost.workspace_bytes},
              {"session", cost.session_bytes},     {"flash", cost.flash_bytes()},
              {"constants", cost.constants_bytes}, {"program", cost.program_bytes},
              {"macs", cost.train_macs},           {"ms", cost.train_step_ms}};
}

}  // namespace attune::cli
