#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "attune/run.h"
#include "cli/common.h"
#include "cli/progress_line.h"

namespace attune::cli {

// The progress line: one line an epoch where it cannot be rewritten.
class TrainProgressLine {
 public:
  TrainProgressLine(bool quiet, bool classifies, size_t memory_bytes)
      : line_(quiet), classifies_(classifies), memory_bytes_(memory_bytes) {}
  void step(const Trainer& trainer);
  void epoch(const Trainer& trainer, const std::optional<Evaluation>& validation);
  void baseline(const Evaluation& before);
  void finish() { line_.finish(); }

  double step_ms() const { return steps_ > 0 ? 1e3 * seconds_ / static_cast<double>(steps_) : 0; }
  // Time spent in Trainer::step goes here.
  void add_step(double seconds) { seconds_ += seconds, ++steps_; }

 private:
  std::string figures(const Trainer& trainer, const Evaluation& epoch) const;
  std::string validation_figures(const Evaluation& validation) const;

  ProgressLine line_;
  bool classifies_;
  size_t memory_bytes_;
  double seconds_ = 0;
  int64_t steps_ = 0;
  std::chrono::steady_clock::time_point last_;
};

// A log of JSON lines; each is written out at once, but the first with the second: until something
// was done, what an earlier run left in the file stays. A log that can no longer be written,
// because its disk is full or its reader gone, is told once, and ends; the run goes on.
class TrainLog {
 public:
  // `append`: continue an existing log; otherwise start anew, but never over a file that is no log.
  // An empty path: log nothing. Throws Error where that cannot be.
  TrainLog(const std::string& path, bool append, bool quiet);
  void write(const Json& event);

 private:
  void end(int error);

  std::string path_;
  bool append_, quiet_;
  std::string first_;  // to be written with the next
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

// "loss" and "accuracy", after `prefix`.
void add_evaluation(Json& json, const std::string& prefix, const Evaluation& evaluation,
                    bool classifies);
Json step_event(const Trainer& trainer, double ms, bool classifies);
// Of what a run starts from, before its first step.
Json baseline_event(const Trainer& trainer, const Evaluation& before, bool classifies);
Json rollback_event(const Rollback& rollback);
// Of an epoch that a run before left without its validation.
Json validation_event(const Trainer& trainer, const Evaluation& validation, bool classifies);
Json epoch_event(const Trainer& trainer, const std::optional<Evaluation>& validation,
                 bool classifies);

}  // namespace attune::cli
