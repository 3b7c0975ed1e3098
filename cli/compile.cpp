#include "sparse_update/pipeline/compile.h"

#include <optional>
#include <set>

#include "cli/layer_list.h"
#include "cli/make_plan.h"
#include "cli/output_file.h"
#include "cli/report/plan_layers.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/pipeline/largest_items.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/pipeline/plan_options.h"
#include "sparse_update/pipeline/preprocess_spec.h"
#include "sparse_update/pipeline/write_file.h"

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
  PlanRequest request;
  bool layers = false;
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
    if (!options.request.search.budget.budget().empty()) json["cost"] = cost_json(cost);
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
  const Budget budget = options.request.search.budget.budget();
  if (budget.memory_bytes)
    rows.row({"memory", fmt::format("{} of {}", bytes_text(cost.ram_bytes()),
                                    bytes_text(*budget.memory_bytes))});
  if (budget.flash_bytes)
    rows.row({"flash", fmt::format("{} of {}", bytes_text(cost.flash_bytes()),
                                   bytes_text(*budget.flash_bytes))});
  if (budget.latency_ms)
    rows.row({"step", fmt::format("{:.3g} ms of {:.3g}", cost.train_step_ms, *budget.latency_ms)});
  if (rate) rows.row({"rate", fmt::format("train it with --learning-rate {:.4g}", *rate)});
  print("{}", rows.text());
}

int list_layers(const CompileCommand& command, bool json) {
  print_layers(forward_graph(*command.load(), command.options(), 1), json);
  return 0;
}

int run(Options& options) {
  PlanRequest& request = options.request;
  if (options.layers) return list_layers(request.compile, options.output.json);
  request.quiet = options.output.quiet;
  request.search.output = options.plan;
  check_replaceable(options.plan, "a plan", ".att", is_plan_file);
  check_files_differ({{"-o", options.plan}, {"--cache", request.search.sensitivity.cache}});
  const CompileOptions compile_with = request.options();
  ModelPtr model = request.compile.load();
  MadePlan made = make_plan(*model, compile_with, request);
  Compiled& compiled = made.made.compiled;
  const std::string peak = peak_of(compiled);
  // Model and graphs go before the plan is in memory a second time.
  compiled.contents = {};
  model.reset();
  // The same checks that a device makes, before the file is written.
  const PlanInMemory loaded(compiled.plan, options.plan);
  write_file(options.plan, compiled.plan);
  if (const format::Program* train = loaded.plan().program(ProgramKind::train_step);
      train && !options.output.quiet)
    note_kept_tables(*train);
  report(options, loaded.plan(), peak, made.made.cost, made.rate);
  return 0;
}

}  // namespace

Verb add_compile(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const std::string help = std::string(kExamples) + kSchemesHelp + losses_help() + kPreprocessHelp;
  CLI::App* verb = add_verb(app, "compile", "Make a training plan of a model", help.c_str());
  options->request.add(verb);
  CLI::Option* plan =
      verb->add_option("-o,--plan", options->plan, "The plan to write (.att); required");
  CLI::Option* layers =
      verb->add_flag("--layers", options->layers,
                     "Write no plan: list the model's layers, as schemes number and name them")
          ->excludes(plan);
  verb->final_callback([plan, layers] {
    if (plan->empty() && layers->empty()) throw CLI::RequiredError("--plan");
  });
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
