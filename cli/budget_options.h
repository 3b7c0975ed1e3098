#pragma once

#include <string>

#include "cli/common.h"
#include "sparse_update/budget.h"

namespace attune::cli {

// --memory, --flash, --latency, and what they count.
class BudgetOptions {
 public:
  void add(CLI::App* verb);
  // Throws Error where an amount is none.
  Budget budget() const;
  // Multiply-adds a second; 0: to be measured here.
  double speed() const;

 private:
  CLI::App* verb_ = nullptr;
  std::string memory_, flash_, latency_, macs_per_second_;
  bool given(const char* option) const { return verb_->count(option) > 0; }
};

// The parts of a cost, for --json.
Json cost_json(const PlanCost& cost);

}  // namespace attune::cli
