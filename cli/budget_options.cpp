#include "cli/budget_options.h"

#include <charconv>

namespace attune::cli {

void BudgetOptions::add(CLI::App* verb) {
  verb_ = verb;
  const auto option = [&](const char* name, std::string& value, const char* text) {
    verb->add_option(name, value, text)->always_capture_default(false);
  };
  option("--memory", memory_,
         "The RAM that a session may take: state, arena, workspace and session, e.g. 256KiB "
         "(default: any)");
  option("--flash", flash_, "What the plan file may take, e.g. 1MiB (default: any)");
  option("--latency", latency_, "What a training step may take, e.g. 40ms (default: any)");
  option("--macs-per-second", macs_per_second_,
         "The device's multiply-adds a second, by which --latency is judged, e.g. 2e8 (default: "
         "measured here)");
}

Budget BudgetOptions::budget() const {
  Budget budget;
  if (given("--memory")) budget.memory_bytes = parse_bytes("--memory", memory_);
  if (given("--flash")) budget.flash_bytes = parse_bytes("--flash", flash_);
  if (given("--latency")) budget.latency_ms = parse_milliseconds("--latency", latency_);
  return budget;
}

double BudgetOptions::speed() const {
  if (!given("--macs-per-second")) return 0;
  double speed = 0;
  const char* const end = macs_per_second_.data() + macs_per_second_.size();
  const auto [rest, error] = std::from_chars(macs_per_second_.data(), end, speed);
  if (error != std::errc() || rest != end || !(speed >= 1 && speed <= 1e18))
    throw_error("--macs-per-second {}: give multiply-adds a second, e.g. 2e8", macs_per_second_);
  return speed;
}

Json cost_json(const PlanCost& cost) {
  return Json{{"memory", cost.memory()},     {"state", cost.state},
              {"arena", cost.arena},         {"workspace", cost.workspace},
              {"session", cost.session},     {"flash", cost.flash()},
              {"constants", cost.constants}, {"program", cost.program},
              {"macs", cost.macs},           {"ms", cost.ms}};
}

}  // namespace attune::cli
