#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "cli/machine_peak.h"
#include "cli/output_file.h"
#include "cli/step_times.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "sparse_update/compile.h"
#include "sparse_update/cost/estimate.h"
#include "sparse_update/cost/representative.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune profile -o machine.json                     networks of the usual kinds; a minute or two
  attune profile -o machine.json --threads 2 a.att b.att
  attune inspect flowers.att --target machine.json   what a step will take

Runs every program of the plans and takes the fastest time of each step, where it stands: with its
operands in the cache in which the steps before it leave them. Rounds over all plans spread the runs
of each, since other programs slow a machine down for seconds at a time. A step that several plans
have gets the median of their times.

The file is JSON, for reading and editing; sparse_update/cost/README.md has the format. A target for
a machine that is not at hand may hold its peak and bandwidths alone.)";

constexpr double kRunSeconds = 0.15;  // of a program in a round
constexpr int kMostRepeats = 60;

struct Options {
  std::string output, name;
  std::vector<std::string> plans;
  int rounds = 3;
  OutputOptions output_options;
  SessionChoice session;
};

// A plan to run: a file's, or one compiled here.
struct Source {
  std::string name;
  Plan plan;
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte, Free> memory;
};

std::unique_ptr<Source> load_file(const std::string& path) {
  auto source = std::make_unique<Source>();
  source->name = path;
  throw_if_error(Plan::load(path.c_str(), &source->plan));
  return source;
}

std::unique_ptr<Source> compile_here(const RepresentativePlan& described) {
  auto source = std::make_unique<Source>();
  source->name = described.name;
  const std::vector<std::byte> plan = compile(described.model, described.options).plan;
  source->memory.reset(static_cast<std::byte*>(std::aligned_alloc(kSegmentAlignment, plan.size())));
  if (!source->memory) throw std::bad_alloc();
  std::memcpy(source->memory.get(), plan.data(), plan.size());
  throw_if_error(
      Plan::from_memory({source->memory.get(), plan.size()}, source->name.c_str(), &source->plan));
  return source;
}

// Progress on one line of a terminal, a line each elsewhere.
class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (shown_ && terminal_) fmt::print(stderr, "\n");
  }
  void show(const std::string& text) {
    if (quiet_) return;
    fmt::print(stderr, "{}attune: {}{}", terminal_ ? "\r\x1b[K" : "", shown(text),
               terminal_ ? "" : "\n");
    std::fflush(stderr);
    shown_ = true;
  }

 private:
  bool quiet_, terminal_, shown_ = false;
};

// The fastest time of every step at its place, over the rounds.
class Measurements {
 public:
  void add(size_t source, const Session& session, const ProgramTimes& times) {
    for (size_t i = 0; i < times.fastest_steps.size(); ++i) {
      const StepWork work = step_work(session, times.kind, static_cast<int>(i));
      const std::string key =
          fmt::format("{}/{}/{}", op_name(work.op), backend_name(work.backend), work.shape);
      const auto [step, is_new] = steps_.try_emplace(key, Step{work, {}});
      const auto place = std::make_tuple(source, times.kind, i);
      const double us = 1e6 * times.fastest_steps[i];
      const auto [fastest, first] = step->second.us.try_emplace(place, us);
      if (!first) fastest->second = std::min(fastest->second, us);
    }
  }

  std::vector<RatePoint> points() const {
    std::vector<RatePoint> points;
    for (const auto& [key, step] : steps_) {
      std::vector<double> us;
      for (const auto& [place, time] : step.us) us.push_back(time);
      const auto middle = us.begin() + static_cast<std::ptrdiff_t>(us.size() / 2);
      std::nth_element(us.begin(), middle, us.end());
      const StepWork& work = step.work;
      points.push_back({work.op, work.backend, work.kind, work.shape, work.macs, work.bytes,
                        std::max(*middle, kLeastUs)});
    }
    return points;
  }

 private:
  static constexpr double kLeastUs = 1e-3;  // where a clock is too coarse to see a step
  struct Step {
    StepWork work;
    std::map<std::tuple<size_t, ProgramKind, size_t>, double> us;  // by place
  };
  std::map<std::string, Step> steps_;
};

void measure(const Source& source, size_t number, const SessionChoice& choice,
             Measurements* measurements) {
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(source.plan, choice.options(), &session));
  for (int k = 0; k < kProgramCount; ++k) {
    const auto kind = static_cast<ProgramKind>(k);
    if (!session->has(kind)) continue;
    const ProgramTimes once = measure_program(*session, kind, 1, StepClockKind::undisturbed);
    const int repeats = std::min(static_cast<int>(kRunSeconds / once.fastest), kMostRepeats);
    measurements->add(number, *session, once);
    if (repeats > 0)
      measurements->add(number, *session,
                        measure_program(*session, kind, repeats, StepClockKind::undisturbed));
  }
}

std::string host_name() {
  char name[256] = "this machine";
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

bool is_target_file(const std::string& path) {
  try {
    read_target(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

Target describe_machine(const Options& options, std::vector<RatePoint> points) {
  const MachinePeak peak = measure_machine(options.session.threads, DType::f32);
  Target target;
  target.name = options.name.empty() ? host_name() : options.name;
  target.threads = options.session.threads;
  target.gflop_s = peak.gflops();
  for (const MachinePeak::Memory& m : peak.memory)
    target.bandwidth.push_back({static_cast<double>(m.bytes), m.gb_s()});
  target.points = std::move(points);
  if (!target.points.empty())
    target.step_us = std::ranges::min(target.points, {}, &RatePoint::us).us;
  return target;
}

int run(const Options& options) {
  check_replaceable(options.output, "a target", is_target_file);
  Progress progress(options.output_options.quiet);
  std::vector<std::unique_ptr<Source>> sources;
  for (const std::string& plan : options.plans) sources.push_back(load_file(plan));
  if (options.plans.empty()) {
    progress.show("compiling networks of the usual kinds");
    for (const RepresentativePlan& plan : representative_plans())
      sources.push_back(compile_here(plan));
  }
  Measurements measurements;
  for (int round = 0; round < options.rounds; ++round)
    for (size_t i = 0; i < sources.size(); ++i) {
      progress.show(fmt::format("round {} of {}, plan {} of {}: {}", round + 1, options.rounds,
                                i + 1, sources.size(), sources[i]->name));
      measure(*sources[i], i, options.session, &measurements);
    }
  progress.show("the machine's peak and bandwidths");
  const Target target = describe_machine(options, measurements.points());
  const std::string text = target_text(target);
  write_file(options.output, std::as_bytes(std::span(text)));

  if (options.output_options.json) {
    print_json(Json{{"target", options.output},
                    {"name", target.name},
                    {"threads", target.threads},
                    {"gflop_s", target.gflop_s},
                    {"plans", sources.size()},
                    {"points", target.points.size()}});
    return 0;
  }
  Table table({"", ""});
  table.row({"target", fmt::format("{}, {}", options.output, bytes_text(text.size()))});
  table.row(
      {"machine", fmt::format("{}, {} thread{}, {:.1f} GFLOP/s", shown(target.name), target.threads,
                              target.threads == 1 ? "" : "s", target.gflop_s)});
  table.row({"points", fmt::format("{} steps of {} plans", count_text(target.points.size()),
                                   sources.size())});
  fmt::print("{}", table.text());
  return 0;
}

}  // namespace

Verb add_profile(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "profile", "Measure this machine's kernels, for estimates of what plans cost",
               kExamples);
  verb->add_option("-o,--output", options->output, "The target to write (.json)")->required();
  verb->add_option("plans", options->plans,
                   "Plans whose steps to measure (default: networks of the usual kinds)")
      ->always_capture_default(false);
  verb->add_option("--name", options->name, "The machine's name (default: its host name)")
      ->always_capture_default(false);
  verb->add_option("--rounds", options->rounds, "How often all plans are measured")
      ->check(CLI::Range(1, 1000));
  options->session.add(verb);
  options->output_options.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
