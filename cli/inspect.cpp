#include <map>
#include <set>

#include "cli/output_file.h"
#include "cli/plan_json.h"
#include "cli/report/dot.h"
#include "cli/report/page.h"
#include "cli/report/plan_layers.h"
#include "cli/report/sections.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune inspect flowers.att
  attune inspect flowers.att --json | jq '.memory'
  attune inspect flowers.att --scheme > scheme.json      to edit, and compile with
  attune inspect flowers.att --target machine.json       what each step will take there
  attune inspect flowers.att --html report.html --target machine.json --front front.json
  attune inspect flowers.att --dot | dot -Tsvg -o graph.svg
  attune inspect flowers.att --operators                 what a device library for it needs

The memory is that of a session of all programs on this machine with this backend; one that only
trains or only predicts takes less. A step's bytes are what it reads and writes.

`attune profile -o machine.json` measures this machine; with --target, every step has an estimate:
`measured` where the target has this very step, `similar` where it follows from others, `roofline`
where nothing but the machine's peak is known.

--html writes one page for any browser, which works offline: what is trained, what lies where in the
arena when, what each layer costs, and with --front what a search had to choose from.)";

constexpr const char* kStandardOutput = "-";

struct Options {
  std::string plan;
  bool scheme = false, operators = false;
  std::string html, front, dot, program = "train_step";
  OutputOptions output;
  SessionChoice session;
  TargetChoice target;
};

// A plan's programs on a target; empty where no target is given.
using Estimates = std::vector<ProgramEstimate>;

template <class Vector>
std::string shape_text(const Vector* shape) {
  return shape ? fmt::format("{}", fmt::join(shape->begin(), shape->end(), "x")) : "";
}

// "all", or "8 of 32 along axis 1", an axis of the model's tensor.
std::string slice_text(const format::Parameter& p) {
  if (p.slice_axis() < 0) return "all";
  const auto channels = p.shape()->Get(static_cast<unsigned>(p.slice_axis()));
  const int axis = model_slice_axis(p);
  return fmt::format("{} of {}{}", p.slice()->size(), channels,
                     axis < 0 ? "" : fmt::format(" along axis {}", axis));
}

// What one example of the data has for each of the model's inputs: "x f32[1,28,28]", "item i32[1]
// of 0 .. 49".
std::string inputs_text(const Session& session) {
  std::string text;
  for (int k = 0; k < kProgramCount && text.empty(); ++k)
    for (int i = 0;; ++i) {
      const SessionPort port = session.port(static_cast<ProgramKind>(k), PortRole::input, i);
      if (!port) break;
      const Shape& shape = port.tensor.shape;
      text += fmt::format(
          "{}{} {}[{}]", i == 0 ? "" : ", ", port.name, dtype_name(port.tensor.dtype),
          fmt::join(shape.dims + std::min(shape.rank, 1), shape.dims + shape.rank, ","));
      if (port.limit > 0) text += fmt::format(" of 0 .. {}", port.limit - 1);
    }
  return text;
}

void print_summary(const Json& plan, const std::string& inputs, const std::string& backend) {
  Table table({"", ""});
  table.row({"plan", fmt::format("{}, {}, by {}", plain_cell(plan["plan"]),
                                 bytes_text(plan["file_bytes"]), plain_cell(plan["producer"]))});
  table.row({"model", plan["model"]});
  table.row({"takes", inputs});
  table.row({"computes in", plan["real"]});
  table.row({"loss", plan["loss"]});
  table.row({"optimizer", plan["optimizer"]});
  if (!backend.empty()) table.row({"backend", backend});
  table.row({"preprocessing", plan["preprocess"]});
  const auto named = [&](const char* what, const Json& count, const Json& names) {
    std::string text = plain_cell(count);
    for (const Json& name : names)
      text += (&name == &names.front() ? ": " : ", ") + plain_cell(name);
    table.row({what, text});
  };
  if (plan["class_count"] > 0) named("classes", plan["class_count"], plan["classes"]);
  if (plan.contains("labels")) named("labels", plan["labels"].size(), plan["labels"]);
  print("{}", table.text());
}

void print_memory(const MemoryReport& memory) {
  Table table({"memory", ">bytes", "", ""});
  const auto row = [&](const char* part, size_t bytes, const std::string& what) {
    table.row({part, count_text(bytes), bytes_text(bytes), what});
  };
  row("constants", memory.constants, "frozen weights, read-only in the plan");
  row("state", memory.state, "trained parameters and the optimizer's state");
  row("arena", memory.arena,
      fmt::format("inputs, activations, gradients; at least {}",
                  bytes_text(memory.arena_lower_bound)));
  if (memory.kept_gradients > 0)
    row("- gradients", memory.kept_gradients, "of the arena, kept until the next run");
  row("workspace", memory.workspace, "kernels' scratch and packed weights");
  row("session", memory.session, "its own objects, padding");
  row("total", memory.total(), "");
  print("\n{}", table.text());
}

// Layers by where in the state their weights are.
std::map<uint64_t, std::string> layers_by_weight(const Plan& plan) {
  std::map<uint64_t, std::string> names;
  const format::Program* train = plan.program(ProgramKind::train_step);
  if (train == nullptr) return names;
  const format::Program& program = *train;
  const ProgramView view(plan.table(), program);
  for (const PlanLayer& layer : view.layers.layers) {
    const format::Tensor& weight = *program.tensors()->Get(static_cast<unsigned>(layer.weight));
    if (weight.segment() == format::Segment::state) names[weight.offset()] = layer.name;
  }
  return names;
}

// A weight that an exporter transposed has no name of its own: "val_12 of encoder.layer.0.query".
std::string parameter_text(const format::Parameter& p,
                           const std::map<uint64_t, std::string>& layers) {
  std::string text = p.name()->str();
  const auto layer = layers.find(p.state_offset());
  if (layer != layers.end() && !text.starts_with(layer->second)) text += " of " + layer->second;
  if (p.head()) text += " (fresh)";
  if (p.statistic()) text += " (statistic)";
  return text;
}

void print_parameters(const Plan& loaded) {
  const format::Plan& plan = loaded.table();
  const auto layers = layers_by_weight(loaded);
  Table table({"trained parameter", "shape", "slice", ">elements", "of"});
  uint64_t trained = 0;
  for (const format::Parameter* p : *plan.parameters()) {
    trained += elements_trained(*p);
    table.row({parameter_text(*p, layers), shape_text(p->model_shape()), slice_text(*p),
               count_text(elements_trained(*p)), count_text(elements_of(*p))});
  }
  table.row({"total", "", "", count_text(trained), ""});
  print("\n{}", table.text());
}

void print_estimates(const Json& plan) {
  if (!plan.contains("target")) {
    print(
        "\nNo times without a machine: `attune profile -o machine.json`, then --target "
        "machine.json\n");
    return;
  }
  const Table table = table_of(
      plan["programs"], {{"estimate: " + shown(plan["target"]["name"].get<std::string>()), "name"},
                         {">ms", "estimated_ms", fixed_cell(3)},
                         {">of it measured", "measured_share", percent_cell(0)}});
  print("\n{}", table.text());
}

void print_programs(const Json& programs) {
  for (const Json& p : programs) {
    const std::string micro_batch =
        p.contains("micro_batch") ? " in micro-batches of " + plain_cell(p["micro_batch"]) : "";
    print("\n{}: batch {}{}, {} steps, {} MACs, arena {} (at least {})\n", plain_cell(p["name"]),
          plain_cell(p["batch"]), micro_batch, p["steps"].size(), count_cell(p["macs"]),
          bytes_text(p["arena_bytes"]), bytes_text(p["arena_lower_bound"]));
    const Table table = table_of(p["steps"], {{">step", ""},
                                              {"operator", "op"},
                                              {"name", "name"},
                                              {"output", "output"},
                                              {">MACs", "macs", count_cell},
                                              {">bytes", "bytes", count_cell},
                                              {"backend", "backend"},
                                              {">estimated ms", "estimated_ms", fixed_cell(4)},
                                              {"basis", "basis"}});
    print("{}", table.text(2));
  }
}

void check_outputs(const Options& options) {
  if (!options.front.empty() && options.html.empty())
    throw_error("--front is drawn on the page of --html; give --html FILE, too");
  if (options.dot == kStandardOutput && options.output.json)
    throw_error("--dot and --json would both go to standard output; give --dot FILE");
  if (same_file(options.html, options.dot))
    throw_error("--html and --dot {}: choose another name for one of them", options.dot);
  if (!options.html.empty()) check_replaceable(options.html, "a report", ".html", is_report_file);
  if (!options.dot.empty() && options.dot != kStandardOutput)
    check_replaceable(options.dot, "a graph of a plan", ".dot", is_dot_file);
}

ProgramKind program_of(const std::string& name) {
  for (int k = 0; k < kProgramCount; ++k)
    if (name == program_name(static_cast<ProgramKind>(k))) return static_cast<ProgramKind>(k);
  throw_error("--program {}: give train_step, evaluate, predict or estimate", name);
}

// What --html and --dot ask for. Everything is made before anything is written.
void write_pictures(const LoadedPlan& loaded, const Options& options, const Rates* rates,
                    const Estimates& estimates) {
  std::string page, graph;
  if (!options.html.empty()) {
    Report report{loaded, estimates, rates ? rates->target().name : "", {}};
    if (!options.front.empty()) report.front = read_front(options.front);
    page = report_page(report);
  }
  if (!options.dot.empty()) graph = program_dot(loaded.plan, program_of(options.program));
  Table table({"", ""});
  if (!page.empty()) {
    write_text(options.html, page);
    table.row({"report", fmt::format("{}, {}", options.html, bytes_text(page.size()))});
  }
  if (options.dot == kStandardOutput) {
    print("{}", graph);
    return;
  }
  if (!graph.empty()) {
    write_text(options.dot, graph);
    table.row({"graph", fmt::format("{}, {}", options.dot, bytes_text(graph.size()))});
  }
  if (!options.output.quiet && !options.output.json) print("{}", table.text());
}

// What a library that runs the plan has kernels of: cmake/selection.cmake reads it.
void print_operators(const Plan& plan) {
  std::set<std::string_view> types, operators;
  for (int kind = 0; kind < kProgramCount; ++kind) {
    const format::Program* program = plan.program(static_cast<ProgramKind>(kind));
    if (program == nullptr) continue;
    for (const format::Step* step : *program->steps()) {
      types.insert(dtype_name(compute_type(*step)));
      operators.insert(op_name(static_cast<Op>(step->op())));
    }
  }
  cli::print("types      {}\noperators  {}\n", fmt::join(types, " "), fmt::join(operators, " "));
}

int run(const Options& options) {
  check_outputs(options);
  if (options.scheme || options.operators) {
    Plan plan;
    throw_if_error(Plan::load(options.plan.c_str(), &plan));
    if (options.scheme)
      put(escaped_json(text_of(plan.table().scheme())) + '\n');
    else
      print_operators(plan);
    return 0;
  }
  const auto loaded = load_plan(options.plan, options.session, ~0u);
  if (!loaded->table().parameters()) throw_error("{}: the plan trains nothing", options.plan);
  const std::unique_ptr<Rates> rates = options.target.rates(loaded->session->threads());
  const Estimates estimates = rates ? estimate(*loaded->session, *rates) : Estimates();
  const bool pictures = !options.html.empty() || !options.dot.empty();
  if (pictures) write_pictures(*loaded, options, rates.get(), estimates);
  if (pictures && !options.output.json) return 0;
  const Json json = plan_json(*loaded, options.plan, rates.get(), estimates);
  if (options.output.json) {
    print_json(json);
    return 0;
  }
  print_summary(json, inputs_text(*loaded->session), loaded->backend);
  print_memory(loaded->session->memory());
  print_parameters(loaded->plan);
  print_estimates(json);
  if (!options.output.quiet) print_programs(json["programs"]);
  return 0;
}

}  // namespace

Verb add_inspect(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "inspect", "Show what a plan trains, its memory, preprocessing and every step",
               kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  CLI::Option* scheme = verb->add_flag("--scheme", options->scheme,
                                       "Print the resolved scheme, as JSON, and nothing else");
  verb->add_flag("--operators", options->operators,
                 "Print the operators that the plan runs and the types that they compute in, as a "
                 "slim device library has them (docs/embedding.md), and nothing else")
      ->excludes(scheme);
  verb->add_option("--html", options->html, "Write a page with pictures to this file (.html)")
      ->excludes(scheme);
  verb->add_option("--front", options->front,
                   "Draw the schemes that a search found on that page, a JSON file (`attune search "
                   "--front` writes one)");
  verb->add_option("--dot", options->dot,
                   "Write a program's graph for Graphviz to this file, or to standard output")
      ->expected(0, 1)
      ->default_str(kStandardOutput)
      ->excludes(scheme);
  verb->add_option("--program", options->program,
                   "Of --dot: train_step, evaluate, predict or estimate")
      ->check(CLI::IsMember({"train_step", "evaluate", "predict", "estimate"}));
  options->target.add(verb);
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
