#include "sparse_update/pipeline/compile.h"

#include <optional>
#include <set>

#include "cli/compile_options.h"
#include "cli/layer_list.h"
#include "cli/model_labels.h"
#include "cli/output_file.h"
#include "cli/report/plan_layers.h"
#include "cli/scheme_search.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "engine/format/plan_tensor.h"
#include "engine/io/file.h"
#include "sparse_update/pipeline/bake_kernels.h"
#include "sparse_update/pipeline/largest_items.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/pipeline/plan_options.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune compile mobilenet.onnx -o flowers.att --scheme last:2 --classes 5 --labels flowers.txt
      --preprocess imagenet --batch-size 16
  attune compile kws.onnx -o kws.att --scheme full --labels words --preprocess mfcc
      --optimizer adam
  attune compile net.onnx -o net.att --scheme scheme.json --input-shape image:1x3x96x96
  attune compile net.onnx -o net.att --scheme bias:8 --batch-size 1 --memory 256KiB
      --backend reference     refused where it does not fit
  attune compile bert.onnx --layers       the layers, for a scheme of your own
  attune compile net.onnx -o net.att --scheme auto --data photos/train --memory 256KiB
  attune compile net.onnx -o net.att --scheme auto --data photos/train --memory 256KiB
      --finalists 12          fine-tunes the best ones, and names a learning rate

)";

struct Options {
  std::string plan;
  CompileCommand compile;
  SchemeSearch search;
  bool bake_kernels = false, layers = false, keep_gradients = false;
  OutputOptions output;
};

// What a program would take if each tensor that is given or computed had memory of its own.
uint64_t unplanned_bytes(const format::Program& program) {
  std::set<int32_t> own;
  for (const format::Port* port : *program.ports())
    if (is_fed(role_of(*port))) own.insert(port->tensor());
  for (const format::Step* step : *program.steps())
    for (int32_t id : list_of(step->outputs()))
      if (id >= 0) own.insert(id);
  uint64_t bytes = 0;
  for (int32_t id : own) {
    const format::Tensor& tensor = *program.tensors()->Get(static_cast<unsigned>(id));
    if (tensor.segment() == format::Segment::arena) bytes += described_tensor(tensor).bytes();
  }
  return bytes;
}

// The training step's node during which most bytes of the arena are alive.
std::string peak_of(const Compiled& compiled) {
  const PlanProgram& train = compiled.contents.programs.front();
  const int at = fullest_step(train);
  if (at < 0 || at >= static_cast<int>(train.graph.nodes.size())) return "";
  const Node& node = train.graph.nodes[static_cast<size_t>(at)];
  return fmt::format("{} {}", op_name(node.op), node.name);
}

void note_other_outputs(const std::vector<std::string>& parameters) {
  if (!parameters.empty())
    print_note(
        fmt::format("parameters of other outputs stay as they are: {}", name_list(parameters)));
}

// Of a table that ids look up a step needs the gradient of few rows; kept, it is a whole table.
void note_kept_tables(const format::Program& train) {
  for (const format::Port* port : *train.ports()) {
    if (role_of(*port) != PortRole::gradient) continue;
    for (const format::Step* step : *train.steps())
      if (static_cast<Op>(step->op()) == Op::take_grad &&
          list_of(step->outputs())[0] == port->tensor())
        print_note(fmt::format(
            "--keep-gradients: {} is of a table that ids look up, and is kept whole: {}",
            port->name()->string_view(),
            bytes_text(
                described_tensor(*train.tensors()->Get(static_cast<unsigned>(port->tensor())))
                    .bytes())));
  }
}

void report(const Options& options, const Plan& plan, const std::string& peak_step,
            const Cost& cost, std::optional<double> rate) {
  const format::Plan& table = plan.table();
  uint64_t trained = 0, parameters = 0;
  for (unsigned i = 0; table.parameters() && i < table.parameters()->size(); ++i) {
    const format::Parameter& parameter = *table.parameters()->Get(i);
    trained += elements_trained(parameter);
    parameters += !parameter.statistic();
  }
  const format::Program* train = plan.program(ProgramKind::train_step);
  const int micro_batch = micro_batch_of_plan(plan);
  if (options.output.json) {
    Json json;
    json["plan"] = options.plan;
    json["file_bytes"] = plan.file_bytes();
    json["trained_parameters"] = parameters;
    json["trained_elements"] = trained;
    json["class_count"] = table.class_count();
    json["constants_bytes"] = table.constants_bytes();
    json["state_bytes"] = table.state_bytes();
    json["arena_bytes"] = table.arena_bytes();
    json["arena_lower_bound"] = train ? train->arena_lower_bound() : 0;
    json["arena_unplanned_bytes"] = train ? unplanned_bytes(*train) : 0;
    json["kept_gradient_bytes"] = train ? kept_gradient_bytes(*train) : 0;
    json["peak"] = peak_step;
    if (micro_batch > 0) json["micro_batch"] = micro_batch;
    if (rate) json["learning_rate"] = *rate;
    json["train_steps"] = train ? train->steps()->size() : 0;
    json["signature"] = fmt::format("{:016x}", table.signature());
    if (!options.search.budget.budget().empty()) json["cost"] = cost_json(cost);
    print_json(json);
    return;
  }
  if (options.output.quiet) return;
  Table rows({"", ""});
  rows.row({"plan", fmt::format("{}, {}", options.plan, bytes_text(plan.file_bytes()))});
  rows.row({"trains", fmt::format("{} elements of {} parameters, by {}", count_text(trained),
                                  parameters, text_of(table.optimizer()))});
  if (table.class_count() > 0) rows.row({"classes", std::to_string(table.class_count())});
  if (micro_batch > 0)
    rows.row({"batch", fmt::format("{} in micro-batches of {}", train->batch(), micro_batch)});
  rows.row({"preprocessing", preprocess_text(plan.preprocess())});
  rows.row({"constants", bytes_text(table.constants_bytes())});
  rows.row({"state", bytes_text(table.state_bytes())});
  rows.row({"arena", bytes_text(table.arena_bytes())});
  if (const size_t bytes = train ? kept_gradient_bytes(*train) : 0)
    rows.row(
        {"gradients", fmt::format("{} of the arena, kept until the next run", bytes_text(bytes))});
  const Budget budget = options.search.budget.budget();
  if (budget.memory_bytes)
    rows.row({"memory", fmt::format("{} of {}", bytes_text(cost.ram_bytes()),
                                    bytes_text(*budget.memory_bytes))});
  if (budget.flash_bytes)
    rows.row({"flash", fmt::format("{} of {}", bytes_text(cost.flash_bytes()),
                                   bytes_text(*budget.flash_bytes))});
  if (budget.latency_ms)
    rows.row({"step", fmt::format("{:.3g} ms of {:.3g}", cost.train_step_ms, *budget.latency_ms)});
  if (rate) rows.row({"rate", fmt::format("train it with --learning-rate {:.4g}", *rate)});
  fmt::print("{}", rows.text());
}

// `rate`: what finals found to be the best, where they are held.
CompiledWithin searched_plan(const Options& options, const Model& model,
                             const CompileOptions& compile_with, std::optional<double>* rate) {
  SchemeSearch search = options.search;
  search.output = options.plan;
  search.may_tile = options.compile.may_tile();
  search.quiet = options.output.quiet;
  SearchedScheme searched = search_for_scheme(model, compile_with, search);
  const FoundScheme& best = searched.result.best;
  if (!options.output.quiet)
    print_note(fmt::format("trains {}: {}", scheme_text(searched.space, best.point),
                           predicted_text(searched.gains, best.gain)));
  if (!searched.finalists.empty()) *rate = searched.finalists.front().rate;
  return std::move(searched.plan);
}

CompiledWithin plan_within(const Options& options, const Model& model,
                           const CompileOptions& compile_with, const SessionChoice& session) {
  const Budget budget = options.search.budget.budget();
  if (budget.empty()) return {compile(model, compile_with), {}};
  const auto costs =
      options.search.budget.cost_model(session, model, compile_with, {compile_with.scheme});
  return compile_within(
      model, compile_with, options.compile.may_tile(), budget, *costs,
      fmt::format("{} with --scheme {}", options.compile.model, compile_with.scheme));
}

// Where no backend is asked for, and what the fastest kernels need does not fit, the reference's do
// with the least.
CompiledWithin plan_on_what_fits(const Options& options, const Model& model,
                                 CompileOptions compile_with, SessionChoice* session) {
  if (session->names_backend() || !options.search.budget.budget().memory_bytes)
    return plan_within(options, model, compile_with, *session);
  try {
    return plan_within(options, model, compile_with, *session);
  } catch (const Error&) {
    session->backend = compile_with.backend = backend_name(Backend::reference);
    CompiledWithin made = plan_within(options, model, compile_with, *session);
    if (!options.output.quiet)
      print_note(
          "with the fastest kernels it does not fit; compiled for --backend reference, which "
          "sessions of the plan run on");
    return made;
  }
}

int list_layers(const Options& options) {
  const CompileOptions compile_with = options.compile.options();
  print_layers(forward_graph(*load_model(options.compile.model), compile_with, 1),
               options.output.json);
  return 0;
}

int run(const Options& options) {
  if (options.layers) return list_layers(options);
  check_replaceable(options.plan, "a plan", is_plan_file);
  CompileOptions compile_with = options.compile.options();
  compile_with.expose_gradients = options.keep_gradients;
  const bool searches = compile_with.scheme == "auto";
  const bool has_data = !options.search.sensitivity.data.empty();
  if (searches && !has_data) throw_error("--scheme auto: needs --data to search with");
  if (!searches && has_data)
    throw_error("--data: is for --scheme auto, not {}", compile_with.scheme);
  if (searches && compile_with.batch_norm != BatchNorm::frozen)
    throw_error(
        "--scheme auto: searches with frozen statistics; search first (attune search), then "
        "compile with --scheme FOUND.json and --batch-norm {}",
        batch_norm_name(compile_with.batch_norm));
  check_files_differ({{"-o", options.plan}, {"--cache", options.search.sensitivity.cache}});
  options.search.budget.budget();  // refused before anything is read
  ModelPtr model = load_model(options.compile.model);
  compile_with.loss = options.compile.loss_for(*model, compile_with, options.output.quiet);
  use_labels_of(*model, &compile_with, options.output.quiet);
  std::optional<double> rate;
  SessionChoice session = options.search.session;
  if (session.names_backend() && session.backend != SessionChoice().backend)
    compile_with.backend = session.backend;
  compile_with.memory_budget = options.search.budget.budget().memory_bytes.value_or(0);
  CompiledWithin made = searches ? searched_plan(options, *model, compile_with, &rate)
                                 : plan_on_what_fits(options, *model, compile_with, &session);
  const std::string peak = peak_of(made.compiled);
  if (!options.output.quiet) {
    note_other_outputs(made.compiled.of_other_outputs);
  }
  if (options.bake_kernels) bake_kernels(made.compiled, session.options());
  // Model and graphs go before the plan is in memory a second time.
  made.compiled.contents = {};
  model.reset();
  // The same checks that a device makes, before the file is written.
  const PlanInMemory loaded(made.compiled.plan, options.plan);
  write_file(options.plan, made.compiled.plan);
  if (const format::Program* train = loaded.plan().program(ProgramKind::train_step);
      train && !options.output.quiet)
    note_kept_tables(*train);
  report(options, loaded.plan(), peak, made.cost, rate);
  return 0;
}

}  // namespace

Verb add_compile(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const std::string help = std::string(kExamples) + kSchemesHelp + losses_help() + kPreprocessHelp;
  CLI::App* verb = add_verb(app, "compile", "Make a training plan of a model", help.c_str());
  options->compile.add(verb, true);
  CLI::Option* plan =
      verb->add_option("-o,--plan", options->plan, "The plan to write (.att); required");
  CLI::Option* layers =
      verb->add_flag("--layers", options->layers,
                     "Write no plan: list the model's layers, as schemes number and name them")
          ->excludes(plan);
  verb->final_callback([plan, layers] {
    if (plan->empty() && layers->empty()) throw CLI::RequiredError("--plan");
  });
  verb->add_flag("--bake-kernels", options->bake_kernels,
                 "Choose each step's kernel now, as --backend does on this machine; sessions of "
                 "the plan then run these");
  verb->add_flag("--keep-gradients", options->keep_gradients,
                 "Keep the gradients of a training step until the next run, for programs that read "
                 "them by name (attune/parameters.h); costs their bytes of memory");
  options->search.budget.add(verb);
  CLI::App* searching = verb->add_option_group("Of --scheme auto", "See `attune search`");
  options->search.add(searching, false);
  for (CLI::Option* option : searching->get_options())
    if (option->get_single_name() != "data") option->needs("--data");
  options->search.session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
