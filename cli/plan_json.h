#pragma once

#include <string>
#include <vector>

#include "cli/common.h"
#include "sparse_update/cost/program_estimate.h"

namespace attune::cli {

// All that `inspect --json` tells of a plan, whose session has all of its programs: what it trains,
// its memory, and every step. `name` is what the user calls it; `rates` may be null, and there are
// then no `estimates`.
Json plan_json(const LoadedPlan& loaded, const std::string& name, const Rates* rates,
               const std::vector<ProgramEstimate>& estimates);

}  // namespace attune::cli
