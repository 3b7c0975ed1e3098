#pragma once

#include <string>

#include "sparse_update/progress.h"

namespace attune::cli {

// What is under way, on standard error: one line that is rewritten in place on a terminal, a line
// for every text otherwise.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Whether texts may follow one another quickly.
  bool rewrites() const { return terminal_ && !quiet_; }
  void show(const std::string& text);
  // Ends a line that is being rewritten, so that other output starts on its own.
  void finish();

 private:
  bool quiet_, terminal_, open_ = false;
};

// Shows work of several parts; `line` must outlive it.
Progress work_progress(ProgressLine& line);

}  // namespace attune::cli
