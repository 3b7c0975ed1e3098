#include "cli/scheme_search.h"

#include "sparse_update/plan_memory.h"

namespace attune::cli {
namespace {

// What latencies are judged by; measured on the smallest plan where it is not given.
double speed_of(const OnnxModel& model, const CompileOptions& options, const SchemeSearch& search) {
  const double given = search.budget.speed();
  if (given > 0 || !search.budget.budget().latency_ms) return given;
  CompileOptions head = options;
  head.scheme = "head";
  const Compiled compiled = compile(model, head);
  const PlanInMemory loaded(compiled.plan, model.path());
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), search.session.options(), &session));
  return measure_macs_per_second(*session);
}

}  // namespace

SearchedScheme search_for_scheme(const OnnxModel& model, const CompileOptions& options,
                                 const SchemeSearch& search) {
  const Budget budget = search.budget.budget();
  if (budget.empty()) throw_error("a search needs a budget; give --memory, --flash or --latency");
  // The backend that is asked for is the device's; here the fastest estimates.
  const EstimateOptions estimate =
      search.sensitivity.options(SessionChoice(), options.seed, search.output);
  TaskExamples examples = open_task(model, options, search.sensitivity);
  WorkProgress progress(search.quiet);
  const Progress report = progress.report();
  SearchedScheme searched;
  searched.estimator = search.sensitivity.estimator;
  Estimate estimated = estimate_gains(model, options, examples, estimate, report);
  searched.space = std::move(estimated.space);
  searched.gains = std::move(estimated.gains);

  const double speed = speed_of(model, options, search);
  SchemeEvaluator evaluator(model, options, searched.space, {search.session.options(), speed},
                            search.sensitivity.threads());
  const ChoiceCosts costs(searched.space, evaluator, report);
  const SearchOptions search_options{budget, static_cast<size_t>(search.evaluations), options.seed};
  searched.result =
      search_scheme(searched.space, searched.gains, costs, evaluator, search_options, report);
  if (search.front_points > 0)
    searched.fronts = scheme_fronts(searched.space, searched.gains, costs, evaluator,
                                    search.front_points, report);
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
