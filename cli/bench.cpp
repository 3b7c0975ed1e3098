#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>

#include "cli/machine_peak.h"
#include "cli/step_times.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/cost/program_estimate.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune bench flowers.att
  attune bench flowers.att --threads 2 --program predict
  attune bench flowers.att --target machine.json        beside what was estimated
  attune bench flowers.att --backend reference --no-peak --json | jq '.programs[0].ms'

Times are medians over the repeats, after two runs that do not count. `first` is the first of these:
to read the plan and make the session (`loading`), and to run a step in fresh memory, is what a start
costs. The data is random, the learning
rate 0, no data is read and nothing is saved. forward holds the loss and the metrics; backward, all
that is computed from gradients; update, the optimizer. Their medians need not add up to the step's.

GFLOP/s takes a multiply-add as two operations and nothing else as any. GB/s takes the bytes of the
step's operands, each read or written once; what a kernel reads twice counts once.

The peak is that of this machine now, with as many threads: multiply-adds in registers, and the
bandwidth at several working sets, because operands that fit a cache come faster. `of peak` is the
least time that these two allow the step, over the time that it took: near 100 %, the step cannot get
faster without doing less. `bound` says which of the two allows less. Steps that move their data
nowhere (a reshape) or find it in a cache may pass 100 %; tiny steps are bound by neither.

With --target, an estimate is held against the fastest run: other programs make the others slower.

On a shared machine compare ratios, and only those of one run.)";

struct Options {
  std::string plan, program;
  int repeats = 20;
  bool no_peak = false;
  OutputOptions output;
  SessionChoice session;
  TargetChoice target;
};

// The work and the time of a step, or of all steps of one operator.
struct Work {
  int steps = 0;
  double seconds = 0, share = 0;
  uint64_t macs = 0, bytes = 0;
  double roof_seconds = 0;  // the least that the machine needs
  double compute_seconds = 0, memory_seconds = 0;

  double gflops() const { return seconds > 0 ? 2e-9 * static_cast<double>(macs) / seconds : 0; }
  double gb_s() const { return seconds > 0 ? 1e-9 * static_cast<double>(bytes) / seconds : 0; }
  double of_peak() const { return seconds > 0 ? roof_seconds / seconds : 0; }
  const char* bound() const { return compute_seconds > memory_seconds ? "compute" : "memory"; }
  void add(const Work& other) {
    steps += other.steps;
    seconds += other.seconds, share += other.share;
    macs += other.macs, bytes += other.bytes;
    roof_seconds += other.roof_seconds;
    compute_seconds += other.compute_seconds, memory_seconds += other.memory_seconds;
  }
};

// Of one step. `all`: seconds of all steps.
Work work_of(const StepWork& step, double seconds, double all,
             const std::optional<MachinePeak>& peak) {
  Work work{1, seconds, all > 0 ? seconds / all : 0, step.runs * step.macs, step.runs * step.bytes};
  if (peak) {
    work.compute_seconds = 2e-9 * static_cast<double>(work.macs) / peak->gflops();
    work.memory_seconds = 1e-9 * static_cast<double>(work.bytes) / peak->gb_s(step.bytes);
    work.roof_seconds = std::max(work.compute_seconds, work.memory_seconds);
  }
  return work;
}

// getrusage alone would count the program that started this one, if that was larger.
size_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  size_t kilobytes = 0;
  for (std::string word; status >> word;)
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

// ---- JSON ----

Json work_json(const Work& work, bool has_peak) {
  Json json{{"ms", 1e3 * work.seconds}, {"share", work.share},      {"macs", work.macs},
            {"bytes", work.bytes},      {"gflop_s", work.gflops()}, {"gb_s", work.gb_s()}};
  if (has_peak) json.update(Json{{"of_peak", work.of_peak()}, {"bound", work.bound()}});
  return json;
}

Json machine_json(const MachinePeak& peak) {
  Json json{{"instructions", peak.instructions}};
  json["compute"] = Json::array();
  for (const auto& c : peak.compute)
    json["compute"].push_back(Json{{"threads", c.threads}, {"gflop_s", c.gflops}});
  json["memory"] = Json::array();
  for (const auto& m : peak.memory)
    json["memory"].push_back(
        Json{{"bytes", m.bytes}, {"read_gb_s", m.read_gb_s}, {"copy_gb_s", m.copy_gb_s}});
  return json;
}

// `estimate` may be null.
Json program_json(const Session& session, const ProgramTimes& times,
                  const std::optional<MachinePeak>& peak, const ProgramEstimate* estimate) {
  const ProgramKind kind = times.kind;
  const std::vector<StepWork> done = program_work(session, kind);
  const double all = std::accumulate(times.steps.begin(), times.steps.end(), 0.0);
  std::vector<std::pair<Op, Work>> operators;
  uint64_t macs = 0;
  Json steps = Json::array();
  for (size_t i = 0; i < done.size(); ++i) {
    const Work work = work_of(done[i], times.steps[i], all, peak);
    macs += work.macs;
    auto of_op = std::find_if(operators.begin(), operators.end(),
                              [&](const auto& o) { return o.first == done[i].op; });
    if (of_op == operators.end()) of_op = operators.insert(of_op, {done[i].op, {}});
    of_op->second.add(work);
    Json entry{{"phase", phase_name(times.step_phase[i])},
               {"op", op_name(done[i].op)},
               {"name", session.step_name(kind, static_cast<int>(i))},
               {"backend", backend_name(done[i].backend)}};
    entry.update(work_json(work, peak.has_value()));
    if (estimate)
      entry.update(Json{{"fastest_ms", 1e3 * times.fastest_steps[i]},
                        {"estimated_ms", 1e-3 * estimate->steps[i].us},
                        {"basis", basis_name(estimate->steps[i].basis)}});
    steps.push_back(std::move(entry));
  }
  // The slowest first.
  std::stable_sort(operators.begin(), operators.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  const int batch = session.batch(kind);
  Json json{{"name", program_name(kind)},       {"batch", batch},
            {"ms", 1e3 * times.total},          {"fastest_ms", 1e3 * times.fastest},
            {"first_ms", 1e3 * times.first},    {"macs", macs},
            {"examples_s", batch / times.total}};
  if (kind == ProgramKind::train_step)
    for (int p = 0; p < kPhaseCount; ++p)
      json[std::string(phase_name(static_cast<Phase>(p))) + "_ms"] = 1e3 * times.phases[p];
  if (estimate)
    json.update(Json{{"estimated_ms", estimate->ms()},
                     // As a share of the fastest run: 0.1 is ten percent too much.
                     {"error", 1e-3 * estimate->ms() / times.fastest - 1},
                     {"measured_share", estimate->measured_share()}});
  json["operators"] = Json::array();
  for (const auto& [op, work] : operators) {
    Json entry{{"op", op_name(op)}, {"steps", work.steps}};
    entry.update(work_json(work, peak.has_value()));
    json["operators"].push_back(std::move(entry));
  }
  json["steps"] = std::move(steps);
  return json;
}

// ---- For people ----

void print_totals(const Json& programs) {
  Table table({"program", ">batch", ">ms", ">fastest", ">first", ">examples/s", ">GFLOP/s"});
  const CellText ms = fixed_cell(3), rate = fixed_cell(1);
  for (const Json& p : programs) {
    table.row({p["name"], plain_cell(p["batch"]), ms(p["ms"]), ms(p["fastest_ms"]),
               ms(p["first_ms"]), rate(p["examples_s"]),
               rate(2e-6 * p["macs"].get<double>() / p["ms"].get<double>())});
    for (const std::string phase : {"forward", "backward", "update"})
      if (p.contains(phase + "_ms")) table.row({"  " + phase, "", ms(p[phase + "_ms"])});
  }
  print("{}", table.text());
}

void print_machine(const Json& machine) {
  Table compute({"peak: " + machine["instructions"].get<std::string>(), ">GFLOP/s"});
  for (const Json& c : machine["compute"])
    compute.row({fmt::format("{} thread{}", c["threads"].get<int>(), c["threads"] == 1 ? "" : "s"),
                 fixed_cell(1)(c["gflop_s"])});
  const Table memory = table_of(
      machine["memory"],
      {{">working set", "bytes", [](const Json& bytes) { return bytes_text(bytes.get<size_t>()); }},
       {">read GB/s", "read_gb_s", fixed_cell(1)},
       {">copy GB/s", "copy_gb_s", fixed_cell(1)}});
  print("\n{}\n{}", compute.text(), memory.text());
}

// A table of objects with work_json, which these columns come before.
Table work_table(const Json& objects, std::vector<Column> columns) {
  const auto gflops = [](const Json& rate) { return rate == 0 ? "" : fixed_cell(1)(rate); };
  columns.insert(columns.end(), {{">ms", "ms", fixed_cell(3)},
                                 {">share", "share", percent_cell(1)},
                                 {">GFLOP/s", "gflop_s", gflops},
                                 {">GB/s", "gb_s", fixed_cell(1)},
                                 {">of peak", "of_peak", percent_cell(1)},
                                 {"bound", "bound"}});
  return table_of(objects, std::move(columns));
}

void print_steps(const Json& program) {
  const Table operators =
      work_table(program["operators"], {{"operator", "op"}, {">steps", "steps"}});
  const Table steps = work_table(program["steps"], {{">step", ""},
                                                    {"phase", "phase"},
                                                    {"operator", "op"},
                                                    {"name", "name"},
                                                    {"backend", "backend"},
                                                    {">estimate", "estimated_ms", fixed_cell(3)},
                                                    {"basis", "basis"},
                                                    {">fastest", "fastest_ms", fixed_cell(3)}});
  const auto name = program["name"].get<std::string>();
  print("\n{0} by operator\n{1}\n{0} by step\n{2}", name, operators.text(2), steps.text(2));
}

void print_tables(const Json& bench, bool quiet) {
  print_totals(bench["programs"]);
  if (bench.contains("target")) {
    const auto error = [](const Json& e) {
      return fmt::format("{:+.1f} %", 100 * e.get<double>());
    };
    const Table table =
        table_of(bench["programs"],
                 {{"estimate: " + shown(bench["target"]["name"].get<std::string>()), "name"},
                  {">ms", "estimated_ms", fixed_cell(3)},
                  {">fastest", "fastest_ms", fixed_cell(3)},
                  {">error", "error", error},
                  {">of it measured", "measured_share", percent_cell(1)}});
    print("\n{}", table.text());
  }
  if (quiet) return;
  print("\nloading {} ms\n", fixed_cell(3)(bench["load_ms"]));
  if (bench.contains("machine")) print_machine(bench["machine"]);
  print_steps(bench["programs"].front());
}

int run(const Options& options) {
  unsigned programs = 0;
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    if (options.program.empty() || options.program == program_name(kind))
      programs |= program_bit(kind);
  }
  const auto start = std::chrono::steady_clock::now();
  const auto loaded = load_plan(options.plan, options.session, programs);
  const double load =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Session& session = *loaded->session;
  const std::unique_ptr<Rates> rates = options.target.rates(session.threads());
  std::vector<ProgramTimes> times;
  for (int k = 0; k < kProgramCount; ++k)
    if (const auto kind = static_cast<ProgramKind>(k); session.has(kind))
      times.push_back(measure_program(session, kind, options.repeats));
  if (times.empty())
    throw_error("{}: the plan has no program {}; compile it again", options.plan,
                options.program.empty() ? "to run" : options.program);
  // Before measuring the machine, which takes memory of its own.
  const size_t resident = peak_resident_bytes();
  std::optional<MachinePeak> peak;
  if (!options.no_peak)
    peak = measure_machine(session.threads(), static_cast<DType>(loaded->table().real()));
  std::vector<ProgramEstimate> estimates;
  if (rates) estimates = estimate(session, *rates);
  Json json{{"plan", options.plan},           {"backend", options.session.backend},
            {"threads", session.threads()},   {"repeats", options.repeats},
            {"load_ms", 1e3 * load},          {"memory_bytes", session.memory().total()},
            {"peak_resident_bytes", resident}};
  if (peak) json["machine"] = machine_json(*peak);
  if (rates)
    json["target"] = Json{{"name", rates->target().name}, {"threads", rates->target().threads}};
  json["programs"] = Json::array();
  for (size_t i = 0; i < times.size(); ++i)  // the session's programs, as of `estimates`
    json["programs"].push_back(
        program_json(session, times[i], peak, rates ? &estimates[i] : nullptr));
  if (options.output.json)
    print_json(json);
  else
    print_tables(json, options.output.quiet);
  return 0;
}

}  // namespace

Verb add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "bench", "Measure how long every step takes, against what this machine can do",
               kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option(
          "--program", options->program,
          "Measure only this one: train_step, evaluate, predict or estimate (default: all, "
          "step by step the first that the plan has)")
      ->check(CLI::IsMember({"train_step", "evaluate", "predict", "estimate"}));
  verb->add_option("--repeats", options->repeats, "Runs of each program that count")
      ->check(CLI::Range(1, 1000000));
  verb->add_flag("--no-peak", options->no_peak,
                 "Leave out measuring the machine, which takes a few seconds and 256 MiB");
  options->target.add(verb);
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
