#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "attune/checkpoint.h"
#include "attune/trainer.h"
#include "cli/common.h"

namespace attune::cli {

// The command line of `attune train`.
struct TrainCommand {
  std::string plan, data, validation, schedule = "constant", checkpoint, resume, log, profile;
  double validation_split = 0, learning_rate = 0.01;
  int64_t epochs = 10, steps = 0, warmup = 0;
  uint64_t seed = 0;
  bool no_shuffle = false;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;

  void add(CLI::App* verb);
  // Options of a new run, or those of the checkpoint with what the command line changes. Throws
  // Error where that would not continue the run.
  TrainOptions options(const CheckpointInfo* resumed) const;
  // Where checkpoints go: --checkpoint, else beside the plan.
  std::string checkpoint_path() const;
  // The command that continues this run.
  std::string resume_command() const;

 private:
  CLI::App* verb_ = nullptr;
  bool given(const char* option) const { return verb_->count(option) > 0; }
};

// "constant", "cosine", "step:EVERY[:FACTOR]". Sets kind, every and gamma. Throws Error.
void parse_schedule(const std::string& text, Schedule* schedule);
std::string schedule_text(const Schedule& schedule);

}  // namespace attune::cli
