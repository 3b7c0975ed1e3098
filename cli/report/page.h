#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/report/front.h"
#include "sparse_update/cost/program_estimate.h"

namespace attune::cli {

// What a person sees of a plan: one HTML page that needs nothing else, not even a script.
struct Report {
  const LoadedPlan& loaded;
  const std::vector<ProgramEstimate>& estimates;  // empty: multiply-adds are shown
  std::string target;                             // whose estimates they are
  std::optional<SchemeFront> front;
};
std::string report_page(const Report& report);

// Whether a file is such a page.
bool is_report_file(const std::string& path);

}  // namespace attune::cli
