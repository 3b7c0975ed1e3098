#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "attune/trainer.h"
#include "cli/common.h"

namespace attune::cli {

// The progress line on standard error: rewritten in place on a terminal, one line an epoch
// otherwise.
class Progress {
 public:
  Progress(bool quiet, bool classifies, size_t memory_bytes);
  ~Progress();
  void step(const Trainer& trainer);
  void epoch(const Trainer& trainer, const std::optional<Evaluation>& validation);
  // Ends the line that is being rewritten, so that other output starts on its own.
  void finish_line();

  double step_ms() const { return steps_ > 0 ? 1e3 * seconds_ / static_cast<double>(steps_) : 0; }
  // Time spent in Trainer::step goes here.
  void add_step(double seconds) { seconds_ += seconds, ++steps_; }

 private:
  std::string line(const Trainer& trainer, double loss, double accuracy) const;

  bool quiet_, classifies_, terminal_;
  bool line_open_ = false;
  size_t memory_bytes_;
  double seconds_ = 0;
  int64_t steps_ = 0;
  std::chrono::steady_clock::time_point last_;
};

// A log of JSON lines; each is written out at once, but the first with the second: until something
// was done, what an earlier run left in the file stays. Errors are Error.
class TrainLog {
 public:
  // `append`: continue an existing log; otherwise start anew, but never over a file that is no log.
  // An empty path: log nothing.
  TrainLog(const std::string& path, bool append);
  void write(const Json& event);

 private:
  std::string path_;
  bool append_;
  std::string first_;  // to be written with the next
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

Json step_event(const Trainer& trainer, double ms, bool classifies);
Json epoch_event(const Trainer& trainer, const std::optional<Evaluation>& validation,
                 bool classifies);

}  // namespace attune::cli
