#pragma once

#include <string>

namespace CLI {
class App;
}

namespace attune {
struct DatasetRequest;
}

namespace attune::cli {

// How data is read: options of every verb that takes any.
struct DataOptions {
  std::string on_error = "stop";

  bool skips() const { return on_error == "skip"; }
  void add(CLI::App* app);
  void apply(DatasetRequest* request) const;
  // As they stand on a command line: " --on-error skip", or nothing.
  std::string command_text() const;
};

}  // namespace attune::cli
