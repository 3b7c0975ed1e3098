#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "attune/checkpoint.h"
#include "attune/trainer.h"
#include "cli/common.h"

namespace attune::cli {

// The command line of `attune train`.
struct TrainCommand {
  std::string plan, data, validation, schedule = "constant", checkpoint, resume, from, log, profile,
                                      curves, class_weights;
  std::string keep = "best";
  double validation_split = 0, learning_rate = 0.01;
  int64_t epochs = 10, steps = 0, warmup = 0, patience = 0, checkpoint_steps = 0;
  uint64_t seed = 0;
  bool no_shuffle = false, overwrite = false;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;

  void add(CLI::App* verb);
  // Options of a new run, or those of the checkpoint with what the command line changes. Throws
  // Error where that would not continue the run.
  TrainOptions options(const CheckpointInfo* resumed) const;
  bool validates() const { return !validation.empty() || validation_split > 0; }
  // Whether the best epoch is kept, and how long to wait for a better one: into `info`, which is
  // that of a resumed run, or a new one. Throws Error where nothing judges.
  void choose_epochs(CheckpointInfo* info) const;
  // Where checkpoints go: --checkpoint, else the run that is resumed, else beside the plan.
  std::string checkpoint_path() const;
  Replace replace() const;  // what saving may replace, once that was found to be asked for
  // The command that continues this run.
  std::string resume_command() const;

 private:
  CLI::App* verb_ = nullptr;
  bool given(const char* option) const { return verb_->count(option) > 0; }
};

// For a shell: quoted where it has to be.
std::string shell_quoted(const std::string& text);

// "constant", "cosine", "step:EVERY[:FACTOR]". Sets kind, every and gamma. Throws Error.
void parse_schedule(const std::string& text, Schedule* schedule);
std::string schedule_text(const Schedule& schedule);

}  // namespace attune::cli
