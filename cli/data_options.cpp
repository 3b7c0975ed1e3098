#include "cli/data_options.h"

#include <CLI/CLI.hpp>

#include "engine/io/open_dataset.h"

namespace attune::cli {

void DataOptions::add(CLI::App* app) {
  app->add_option(
         "--on-error", on_error,
         "What to do with files that cannot be read or decoded: stop at the first, or skip "
         "them all, each with its reason, before anything else is done")
      ->check(CLI::IsMember({"stop", "skip"}));
}

void DataOptions::apply(DatasetRequest* request) const { request->skip_unreadable = skips(); }

std::string DataOptions::command_text() const { return skips() ? " --on-error skip" : ""; }

}  // namespace attune::cli
