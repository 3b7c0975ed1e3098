#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/budget_options.h"
#include "cli/compile_options.h"
#include "cli/data_options.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/sensitivity/examples.h"

namespace attune::cli {

// The command line of `attune adapt`.
struct AdaptOptions {
  CompileCommand compile;
  std::string data, output_path;
  BudgetOptions budget;
  SessionChoice session;
  DataOptions reading;
  double minutes = 5;
  int jobs = 0;
  OutputOptions output;
  CLI::App* verb = nullptr;

  bool given(const char* option) const { return verb->count(option) > 0; }
};

// What is known before anything is trained.
struct AdaptTask {
  CompileOptions compile;
  std::string preprocess;     // as --preprocess takes it
  std::string labels;         // what --labels is given by hand; empty: nothing
  std::string about_classes;  // for people
  bool keeps_head = true;
};

// A plan of the model as it is, and a session on it.
struct Original {
  Original(const Model& model, CompileOptions options, const AdaptOptions& given) {
    options.scheme = "head";
    options.evaluate_batch = options.predict_batch = options.batch = 1;
    plan = std::make_unique<PlanInMemory>(compile(model, options).plan, model.path());
    throw_if_error(Session::create(plan->plan(), given.session.options(), &session));
  }
  std::unique_ptr<PlanInMemory> plan;
  std::unique_ptr<Session> session;
};

// Chooses what nobody gave: preprocessing, loss, classes. Throws Error where only the user can
// know.
AdaptTask choose_task(const AdaptOptions& options, const Model& model);

// The classes of each example, one for each position; or its targets.
std::vector<std::vector<int32_t>> labels_of(const ExamplesInMemory& examples);
std::vector<std::vector<double>> targets_of(const ExamplesInMemory& examples);

// At most as many examples as memory and time are for, chosen by the seed.
ExamplesInMemory read_examples(Dataset& data, const Session& session, const AdaptOptions& options);

}  // namespace attune::cli
