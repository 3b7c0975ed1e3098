#include "cli/scheme_search.h"

#include "cli/progress_line.h"

namespace attune::cli {

void SchemeSearch::add(CLI::App* verb, bool required) {
  sensitivity.add(verb, required, true);
  verb->add_option("--evaluations", evaluations,
                   "Schemes that the evolutionary part of the search may compile")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}));
}

SearchedScheme search_for_scheme(const Model& model, const CompileOptions& options,
                                 const SchemeSearch& search) {
  const Budget budget = search.budget.budget();
  if (budget.empty()) throw_error("a search needs a budget; give --memory, --flash or --latency");
  // The backend that is asked for is the device's; here the fastest estimates.
  const EstimateOptions estimate =
      search.sensitivity.options(SessionChoice(), options.seed, search.output);
  const ExamplesInMemory examples = open_task(model, options, search.sensitivity, search.quiet);
  ProgressLine line(search.quiet);
  const Progress report = search.progress ? search.progress : work_progress(line);
  SearchedScheme searched;
  searched.estimator = search.sensitivity.estimator;
  Estimate estimated = estimate_gains(model, options, examples, estimate, report);
  searched.space = std::move(estimated.space);
  searched.gains = std::move(estimated.gains);

  // Every scheme is judged by the smallest plan of it.
  CompileOptions compile_with = options;
  const bool smallest = budget.memory_bytes && search.may_tile;
  compile_with.tile = options.tile || smallest;
  compile_with.split_gradients = options.split_gradients || smallest;
  const auto cost_model =
      search.budget.cost_model(search.session, model, compile_with, {"head", "full"});
  SchemeEvaluator evaluator(model, compile_with, searched.space, searched.gains, *cost_model,
                            search.sensitivity.threads());
  const ChoiceCosts costs(evaluator, report);
  const SearchOptions search_options{budget, static_cast<size_t>(search.evaluations), options.seed};
  searched.result = search_scheme(evaluator, costs, search_options, report);
  if (search.sensitivity.finalists > 0) {
    FinalsOptions finals{static_cast<size_t>(search.sensitivity.finalists), estimate.measure};
    finals.measure.steps = search.sensitivity.finalist_steps;
    searched.finalists = hold_finals(model, options, evaluator, searched.result.fitting, budget,
                                     examples, finals, report);
    searched.result.best = searched.finalists.front().scheme;
  }
  if (search.front_points > 0)
    searched.fronts = scheme_fronts(evaluator, costs, search.front_points, report);
  // The plan need not be the smallest: it has as few steps as fit.
  compile_with = options;
  compile_with.scheme = scheme_json(searched.space, searched.result.best.point);
  searched.plan = compile_within(model, compile_with, search.may_tile, budget, *cost_model,
                                 "the scheme that was found");
  searched.result.best.cost = searched.plan.cost;
  return searched;
}

Json found_json(const SearchedScheme& searched, const FoundScheme& scheme) {
  Json json;
  json["gain"] = scheme.gain;
  if (searched.gains.unit != "fisher")
    json["predicted_" + searched.gains.unit] = searched.gains.reached(scheme.gain);
  json["cost"] = cost_json(scheme.cost);
  json["scheme"] = Json::parse(scheme_json(searched.space, scheme.point));
  return json;
}

Json searched_json(const SearchedScheme& searched) {
  Json json;
  json["estimator"] = searched.estimator;
  json["unit"] = searched.gains.unit;
  if (searched.gains.unit != "fisher") json["classifier_alone"] = searched.gains.reached(0);
  json["found"] = found_json(searched, searched.result.best);
  json["bound"] = number_json(searched.result.bound);
  if (!searched.finalists.empty()) json["learning_rate"] = searched.finalists.front().rate;
  json["compiled"] = searched.result.evaluations;
  for (const Finalist& finalist : searched.finalists) {
    Json entry = found_json(searched, finalist.scheme);
    entry["learning_rate"] = finalist.rate;
    entry["runs"] = finalist.runs;
    entry["steps"] = finalist.steps;
    entry["accuracy"] = number_json(finalist.reached.accuracy);
    entry["loss"] = number_json(finalist.reached.loss);
    json["finalists"].push_back(std::move(entry));
  }
  return json;
}

std::string predicted_text(const Gains& gains, double gain) {
  if (gains.unit == "accuracy")
    return fmt::format("accuracy {:.1f} %, {:+.1f} over the classifier alone, if gains add up",
                       100 * (gains.base + gain), 100 * gain);
  if (gains.unit == "loss")
    return fmt::format("loss {:.4g}, {:+.4g} over the classifier alone, if gains add up",
                       gains.reached(gain), -gain);
  return fmt::format("a loss lower by {:.4g} after a step, by Fisher information", gain);
}

}  // namespace attune::cli
