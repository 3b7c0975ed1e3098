#pragma once

#include <optional>
#include <string>

#include "cli/compile_options.h"
#include "cli/scheme_search.h"

namespace attune::cli {

// What `compile` is asked for, but for the file to write.
struct PlanRequest {
  CompileCommand compile;
  SchemeSearch search;
  bool bake_kernels = false, keep_gradients = false;
  bool quiet = false;

  void add(CLI::App* verb);
  // What was given, checked. Throws Error.
  CompileOptions options() const;
};

struct MadePlan {
  CompiledWithin made;
  SessionChoice session;       // what it was made for
  std::optional<double> rate;  // what finals found to be the best, where they are held
};

// From a model to a plan, as `compile` makes it: the loss that suits the model, labels that it
// names, a scheme that is searched for, a budget that is kept. `options` are those of the request,
// or more. Throws Error.
MadePlan make_plan(const Model& model, CompileOptions options, const PlanRequest& request);

}  // namespace attune::cli
