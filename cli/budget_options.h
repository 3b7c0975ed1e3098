#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/common.h"
#include "sparse_update/cost/cost.h"
#include "sparse_update/pipeline/budget.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::cli {

// --memory, --flash, --latency, and the --target that times are of.
class BudgetOptions {
 public:
  void add(CLI::App* verb);
  // Throws Error where an amount is none.
  Budget budget() const;

  // What plans are judged by. Without --target, --latency is of this machine: the steps of the
  // model are measured, trained as each of `schemes` says.
  std::unique_ptr<CostModel> cost_model(const SessionChoice& session, const Model& model,
                                        const CompileOptions& options,
                                        const std::vector<std::string>& schemes) const;

 private:
  CLI::App* verb_ = nullptr;
  std::string memory_, flash_, latency_;
  TargetChoice target_;
  bool given(const char* option) const { return verb_->count(option) > 0; }
};

// The parts of a cost, for --json.
Json cost_json(const Cost& cost);

}  // namespace attune::cli
