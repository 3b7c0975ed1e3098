#pragma once

#include <string>

#include "cli/budget_options.h"
#include "cli/sensitivity_options.h"
#include "sparse_update/pipeline/compile_within.h"
#include "sparse_update/search/finals.h"
#include "sparse_update/search/front.h"
#include "sparse_update/search/search.h"

namespace attune::cli {

// What a search needs to know beside the model and how it is compiled.
struct SchemeSearch {
  SensitivityOptions sensitivity;
  BudgetOptions budget;
  SessionChoice session;
  int64_t evaluations = 400;
  size_t front_points = 0;  // of each front; 0: none is wanted
  std::string output;       // what the cache lies beside
  bool may_tile = true;
  bool quiet = false;
  Progress progress;  // empty: a line on standard error

  // `required`: --data is.
  void add(CLI::App* verb, bool required);
};

struct SearchedScheme {
  SearchSpace space;
  Gains gains;
  SearchResult result;
  std::vector<Finalist> finalists;  // the best first, which is result.best; empty without finals
  SchemeFronts fronts;
  std::string estimator;
  CompiledWithin plan;  // of the best
};

// From a budget to a scheme: estimates what every choice gains and costs, searches, and holds
// finals where they are asked for. Throws Error, also where there is no budget.
SearchedScheme search_for_scheme(const Model& model, const CompileOptions& options,
                                 const SchemeSearch& search);

// A found scheme, for --json and --front.
Json found_json(const SearchedScheme& searched, const FoundScheme& scheme);
// All that was found, but for the fronts.
Json searched_json(const SearchedScheme& searched);
// "accuracy 87.2 % (+3.1)", "a loss lower by 0.0123 after a step, by Fisher
// information".
std::string predicted_text(const Gains& gains, double gain);

}  // namespace attune::cli
