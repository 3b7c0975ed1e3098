#include "cli/make_plan.h"

#include "cli/model_labels.h"
#include "engine/io/file.h"
#include "sparse_update/pipeline/bake_kernels.h"

namespace attune::cli {
namespace {

// `rate`: what finals found to be the best, where they are held.
CompiledWithin searched_plan(const PlanRequest& request, const Model& model,
                             const CompileOptions& options, std::optional<double>* rate) {
  SchemeSearch search = request.search;
  search.may_tile = request.compile.may_tile();
  search.quiet = request.quiet;
  SearchedScheme searched = search_for_scheme(model, options, search);
  const FoundScheme& best = searched.result.best;
  if (!request.quiet)
    print_note(fmt::format("trains {}: {}", scheme_text(searched.space, best.point),
                           predicted_text(searched.gains, best.gain)));
  if (!searched.finalists.empty()) *rate = searched.finalists.front().rate;
  return std::move(searched.plan);
}

CompiledWithin plan_within(const PlanRequest& request, const Model& model,
                           const CompileOptions& options, const SessionChoice& session) {
  const Budget budget = request.search.budget.budget();
  if (budget.empty()) return {compile(model, options), {}};
  const auto costs = request.search.budget.cost_model(session, model, options, {options.scheme});
  return compile_within(model, options, request.compile.may_tile(), budget, *costs,
                        fmt::format("{} with --scheme {}", model.path(), options.scheme));
}

// Where no backend is asked for, and what the fastest kernels need does not fit, the reference's do
// with the least.
CompiledWithin plan_on_what_fits(const PlanRequest& request, const Model& model,
                                 CompileOptions options, SessionChoice* session) {
  if (session->names_backend() || !request.search.budget.budget().memory_bytes)
    return plan_within(request, model, options, *session);
  try {
    return plan_within(request, model, options, *session);
  } catch (const Error&) {
    session->backend = options.backend = backend_name(Backend::reference);
    CompiledWithin made = plan_within(request, model, options, *session);
    if (!request.quiet)
      print_note(
          "with the fastest kernels it does not fit; compiled for --backend reference, which "
          "sessions of the plan run on");
    return made;
  }
}

}  // namespace

void PlanRequest::add(CLI::App* verb) {
  compile.add(verb, true);
  verb->add_flag("--bake-kernels", bake_kernels,
                 "Choose each step's kernel now, as --backend does on this machine; sessions of "
                 "the plan then run these");
  verb->add_flag("--keep-gradients", keep_gradients,
                 "Keep the gradients of a training step until the next run, for programs that read "
                 "them by name (attune/parameters.h); costs their bytes of memory");
  search.budget.add(verb);
  CLI::App* searching = verb->add_option_group("Of --scheme auto", "See `attune search`");
  search.add(searching, false);
  for (CLI::Option* option : searching->get_options())
    if (option->get_single_name() != "data") option->needs("--data");
  search.session.add(verb);
}

CompileOptions PlanRequest::options() const {
  CompileOptions options = compile.options();
  options.expose_gradients = keep_gradients;
  const bool searches = options.scheme == "auto", has_data = !search.sensitivity.data.empty();
  if (searches && !has_data) throw_error("--scheme auto: needs --data to search with");
  if (!searches && has_data) throw_error("--data: is for --scheme auto, not {}", options.scheme);
  if (searches && options.batch_norm != BatchNorm::frozen)
    throw_error(
        "--scheme auto: searches with frozen statistics; search first (attune search), then "
        "compile with --scheme FOUND.json and --batch-norm {}",
        batch_norm_name(options.batch_norm));
  search.budget.budget();  // refused before anything is read
  return options;
}

MadePlan make_plan(const Model& model, CompileOptions options, const PlanRequest& request) {
  options.loss = request.compile.loss_for(model, options, request.quiet);
  use_labels_of(model, &options, request.quiet);
  MadePlan result;
  result.session = request.search.session;
  if (result.session.names_backend() && result.session.backend != SessionChoice().backend)
    options.backend = result.session.backend;
  options.memory_budget = request.search.budget.budget().memory_bytes.value_or(0);
  result.made = options.scheme == "auto"
                    ? searched_plan(request, model, options, &result.rate)
                    : plan_on_what_fits(request, model, options, &result.session);
  const std::vector<std::string>& others = result.made.compiled.of_other_outputs;
  if (!request.quiet && !others.empty())
    print_note(fmt::format("parameters of other outputs stay as they are: {}", name_list(others)));
  if (request.bake_kernels) bake_kernels(result.made.compiled, result.session.options());
  return result;
}

}  // namespace attune::cli
