#pragma once

#include <string>
#include <vector>

#include "attune/read_limits.h"

namespace CLI {
class App;
}

namespace attune {
struct DatasetRequest;
}

namespace attune::cli {

// How data is read: options of every verb that takes any.
struct DataOptions {
  std::string on_error = "stop", path_column, label_column, weight_column, labels_are;
  std::string columns;  // a file that says what the columns of a table are; empty: none
  int window_stride = 0, horizon = 0;
  int64_t max_pixels = ReadLimits().pixels;
  std::string cache_bytes = "256MiB";

  bool skips() const { return on_error == "skip"; }
  void add(CLI::App* app);
  void apply(DatasetRequest* request) const;
  // The options that were given, as they stand on a command line.
  std::vector<std::string> arguments() const;

 private:
  const CLI::App* verb_ = nullptr;
};

}  // namespace attune::cli
