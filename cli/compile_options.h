#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/limit_options.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::cli {

// How schemes and preprocessing are written, for --help.
extern const char* const kSchemesHelp;
extern const char* const kPreprocessHelp;

// The options of every verb that compiles a model: `compile`, `search`, `sensitivity`.
struct CompileCommand {
  std::string model;
  ModelOptions reading_model;
  CompileOptions compile;

  // `with_scheme`: --scheme is an option too.
  void add(CLI::App* verb, bool with_scheme);
  // What was given, checked. Throws Error.
  CompileOptions options() const;
  ModelPtr load() const { return reading_model.load(model); }
  // The loss that was given, or else the one for how the model ends, with a note unless `quiet`.
  Loss loss_for(const Model& model, const CompileOptions& options, bool quiet) const;
  // What was given; empty: nothing.
  const std::string& labels() const { return labels_; }
  const std::string& preprocess() const { return preprocess_; }
  // Whether a budget of memory may tile the plan: not where the user forbids it.
  bool may_tile() const { return tiling_ != "off" || verb_->count("--memory-tiling") == 0; }

 private:
  CLI::App* verb_ = nullptr;
  std::string loss_, optimizer_ = "momentum", batch_norm_ = "frozen", dropout_ = "off", labels_,
                     preprocess_ = "none", betas_ = "0.9,0.999", tiling_ = "off", strips_ = "off",
                     masks_ = "off";
  std::vector<std::string> input_shapes_, axes_, batch_axes_, bound_inputs_;
  double momentum_ = 0.9;
  bool nesterov_ = false;
};

}  // namespace attune::cli
