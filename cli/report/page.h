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

// What every page has: its figures at the top, and all around a body. `verb` writes it.
std::string page_figure(const std::string& what, const std::string& value,
                        const std::string& detail);
std::string html_page(const char* verb, const LoadedPlan& loaded, const std::string& body);

// Whether a file is such a page, of either verb.
bool is_report_file(const std::string& path);

}  // namespace attune::cli
