#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "cli/machine_peak.h"
#include "cli/step_times.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "engine/format/plan_generated.h"
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
  double seconds = 0, share = 0;
  uint64_t macs = 0, bytes = 0;
  double roof_seconds = 0;  // the least that the machine needs
  double compute_seconds = 0, memory_seconds = 0;

  double gflops() const { return seconds > 0 ? 2e-9 * static_cast<double>(macs) / seconds : 0; }
  double gb_s() const { return seconds > 0 ? 1e-9 * static_cast<double>(bytes) / seconds : 0; }
  double of_peak() const { return seconds > 0 ? roof_seconds / seconds : 0; }
  const char* bound() const { return compute_seconds > memory_seconds ? "compute" : "memory"; }
  void add(const Work& other) {
    seconds += other.seconds, share += other.share;
    macs += other.macs, bytes += other.bytes;
    roof_seconds += other.roof_seconds;
    compute_seconds += other.compute_seconds, memory_seconds += other.memory_seconds;
  }
};

// A program as measured, with what its steps do.
struct Measured {
  ProgramTimes times;
  std::vector<Work> steps;
  struct Operator {
    const char* name;
    int count = 0;
    Work work;
  };
  std::vector<Operator> operators;  // the slowest first
  uint64_t macs = 0;
  std::optional<ProgramEstimate> estimate;
  // Of the estimate, as a share of the fastest run: 0.1 is ten percent too much.
  double error() const { return 1e-3 * estimate->ms() / times.fastest - 1; }
};

Measured add_work(const Session& session, ProgramTimes times,
                  const std::optional<MachinePeak>& peak) {
  Measured measured;
  const ProgramKind kind = times.kind;
  double sum = 0;
  for (double seconds : times.steps) sum += seconds;
  std::map<Op, size_t> places;
  for (int i = 0; i < session.step_count(kind); ++i) {
    Work work;
    work.seconds = times.steps[static_cast<size_t>(i)];
    work.share = sum > 0 ? work.seconds / sum : 0;
    work.macs = step_macs(session, kind, i);
    work.bytes = moved_bytes(session.step_op(kind, i), session.step_args(kind, i));
    if (peak) {
      work.compute_seconds = 2e-9 * static_cast<double>(work.macs) / peak->gflops();
      work.memory_seconds = 1e-9 * static_cast<double>(work.bytes) / peak->gb_s(work.bytes);
      work.roof_seconds = std::max(work.compute_seconds, work.memory_seconds);
    }
    measured.macs += work.macs;
    const Op op = session.step_op(kind, i);
    const auto [place, is_new] = places.emplace(op, measured.operators.size());
    if (is_new) measured.operators.push_back({op_name(op), 0, {}});
    ++measured.operators[place->second].count;
    measured.operators[place->second].work.add(work);
    measured.steps.push_back(work);
  }
  std::stable_sort(measured.operators.begin(), measured.operators.end(),
                   [](const auto& a, const auto& b) { return a.work.seconds > b.work.seconds; });
  measured.times = std::move(times);
  return measured;
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

Json program_json(const Session& session, const Measured& measured, bool has_peak) {
  const ProgramTimes& times = measured.times;
  const ProgramKind kind = times.kind;
  const int batch = session.batch(kind);
  Json json{{"name", program_name(kind)},       {"batch", batch},
            {"ms", 1e3 * times.total},          {"fastest_ms", 1e3 * times.fastest},
            {"first_ms", 1e3 * times.first},    {"macs", measured.macs},
            {"examples_s", batch / times.total}};
  if (kind == ProgramKind::train_step)
    for (int p = 0; p < kPhaseCount; ++p)
      json[std::string(phase_name(static_cast<Phase>(p))) + "_ms"] = 1e3 * times.phases[p];
  if (measured.estimate)
    json.update(Json{{"estimated_ms", measured.estimate->ms()},
                     {"error", measured.error()},
                     {"measured_share", measured.estimate->measured_share()}});
  json["operators"] = Json::array();
  for (const auto& op : measured.operators) {
    Json entry{{"op", op.name}, {"steps", op.count}};
    entry.update(work_json(op.work, has_peak));
    json["operators"].push_back(std::move(entry));
  }
  json["steps"] = Json::array();
  for (int i = 0; i < session.step_count(kind); ++i) {
    const auto at = static_cast<size_t>(i);
    Json entry{{"phase", phase_name(times.step_phase[at])},
               {"op", op_name(session.step_op(kind, i))},
               {"name", session.step_name(kind, i)},
               {"backend", backend_name(session.step_backend(kind, i))}};
    entry.update(work_json(measured.steps[at], has_peak));
    if (measured.estimate) {
      const StepTime& time = measured.estimate->steps[at];
      entry["fastest_ms"] = 1e3 * times.fastest_steps[at];
      entry["estimated_ms"] = 1e-3 * time.us;
      entry["basis"] = basis_name(time.basis);
    }
    json["steps"].push_back(std::move(entry));
  }
  return json;
}

// ---- For people ----

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::vector<std::string> work_cells(const Work& work, bool has_peak) {
  std::vector<std::string> cells = {fmt::format("{:.3f}", 1e3 * work.seconds), percent(work.share),
                                    work.macs > 0 ? fmt::format("{:.1f}", work.gflops()) : "",
                                    fmt::format("{:.1f}", work.gb_s())};
  if (has_peak) {
    cells.push_back(percent(work.of_peak()));
    cells.push_back(work.bound());
  }
  return cells;
}

Table work_table(std::vector<std::string> headers, bool has_peak) {
  for (const char* header : {">ms", ">share", ">GFLOP/s", ">GB/s"}) headers.push_back(header);
  if (has_peak) headers.insert(headers.end(), {">of peak", "bound"});
  return Table(std::move(headers));
}

std::string milliseconds(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }

void print_totals(const Session& session, const std::vector<Measured>& programs) {
  Table table({"program", ">batch", ">ms", ">fastest", ">first", ">examples/s", ">GFLOP/s"});
  for (const Measured& m : programs) {
    const ProgramTimes& times = m.times;
    const int batch = session.batch(times.kind);
    table.row({program_name(times.kind), std::to_string(batch), milliseconds(times.total),
               milliseconds(times.fastest), milliseconds(times.first),
               fmt::format("{:.1f}", batch / times.total),
               fmt::format("{:.1f}", 2e-9 * static_cast<double>(m.macs) / times.total)});
    if (times.kind != ProgramKind::train_step) continue;
    for (int p = 0; p < kPhaseCount; ++p)
      table.row({fmt::format("  {}", phase_name(static_cast<Phase>(p))), "",
                 fmt::format("{:.3f}", 1e3 * times.phases[p])});
  }
  fmt::print("{}", table.text());
}

void print_estimates(const std::vector<Measured>& programs, const Target& target) {
  Table table({"estimate: " + shown(target.name), ">ms", ">fastest", ">error", ">of it measured"});
  for (const Measured& m : programs)
    table.row({program_name(m.times.kind), fmt::format("{:.3f}", m.estimate->ms()),
               milliseconds(m.times.fastest), fmt::format("{:+.1f} %", 100 * m.error()),
               percent(m.estimate->measured_share())});
  fmt::print("\n{}", table.text());
}

void print_machine(const MachinePeak& peak) {
  Table compute({"peak: " + std::string(peak.instructions), ">GFLOP/s"});
  for (const auto& c : peak.compute)
    compute.row({fmt::format("{} thread{}", c.threads, c.threads == 1 ? "" : "s"),
                 fmt::format("{:.1f}", c.gflops)});
  Table memory({">working set", ">read GB/s", ">copy GB/s"});
  for (const auto& m : peak.memory)
    memory.row({bytes_text(m.bytes), fmt::format("{:.1f}", m.read_gb_s),
                fmt::format("{:.1f}", m.copy_gb_s)});
  fmt::print("\n{}\n{}", compute.text(), memory.text());
}

void print_steps(const Session& session, const Measured& measured, bool has_peak) {
  const ProgramTimes& times = measured.times;
  fmt::print("\n{} by operator\n", program_name(times.kind));
  Table operators = work_table({"operator", ">steps"}, has_peak);
  for (const auto& op : measured.operators) {
    std::vector<std::string> cells = {op.name, std::to_string(op.count)};
    for (std::string& cell : work_cells(op.work, has_peak)) cells.push_back(std::move(cell));
    operators.row(std::move(cells));
  }
  fmt::print("{}\n{} by step\n", operators.text(2), program_name(times.kind));
  std::vector<std::string> headers = {">step", "phase", "operator", "name", "backend"};
  if (measured.estimate) headers.insert(headers.end(), {">estimate", "basis", ">fastest"});
  Table steps = work_table(std::move(headers), has_peak);
  for (int i = 0; i < session.step_count(times.kind); ++i) {
    const auto at = static_cast<size_t>(i);
    std::vector<std::string> cells = {std::to_string(i), phase_name(times.step_phase[at]),
                                      op_name(session.step_op(times.kind, i)),
                                      session.step_name(times.kind, i),
                                      backend_name(session.step_backend(times.kind, i))};
    if (measured.estimate) {
      const StepTime& time = measured.estimate->steps[at];
      cells.push_back(fmt::format("{:.3f}", 1e-3 * time.us));
      cells.push_back(basis_name(time.basis));
      cells.push_back(milliseconds(times.fastest_steps[at]));
    }
    for (std::string& cell : work_cells(measured.steps[at], has_peak))
      cells.push_back(std::move(cell));
    steps.row(std::move(cells));
  }
  fmt::print("{}", steps.text(2));
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
  std::vector<Measured> measured;
  for (ProgramTimes& t : times) measured.push_back(add_work(session, std::move(t), peak));
  if (rates)
    for (ProgramEstimate& e : estimate(session, *rates))
      for (Measured& m : measured)
        if (m.times.kind == e.kind) m.estimate = std::move(e);

  if (options.output.json) {
    Json json{{"plan", options.plan},           {"backend", options.session.backend},
              {"threads", session.threads()},   {"repeats", options.repeats},
              {"load_ms", 1e3 * load},          {"memory_bytes", session.memory().total()},
              {"peak_resident_bytes", resident}};
    if (peak) json["machine"] = machine_json(*peak);
    if (rates)
      json["target"] = Json{{"name", rates->target().name}, {"threads", rates->target().threads}};
    json["programs"] = Json::array();
    for (const Measured& m : measured)
      json["programs"].push_back(program_json(session, m, peak.has_value()));
    print_json(json);
    return 0;
  }
  print_totals(session, measured);
  if (rates) print_estimates(measured, rates->target());
  if (options.output.quiet) return 0;
  fmt::print("\nloading {} ms\n", milliseconds(load));
  if (peak) print_machine(*peak);
  print_steps(session, measured.front(), peak.has_value());
  return 0;
}

}  // namespace

Verb add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "bench", "Measure how long every step takes, against what this machine can do",
               kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("--program", options->program,
                   "Measure only this one: train_step, evaluate or predict (default: all of them, "
                   "step by step the first that the plan has)")
      ->always_capture_default(false)
      ->check(CLI::IsMember({"train_step", "evaluate", "predict"}));
  verb->add_option("--repeats", options->repeats, "Runs of each program that count")
      ->check(CLI::Range(1, 1000000));
  verb->add_flag("--no-peak", options->no_peak,
                 "Leave out measuring the machine, which takes a few seconds and 256 MiB")
      ->always_capture_default(false);
  options->target.add(verb);
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
