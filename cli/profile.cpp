#include <unistd.h>

#include "cli/output_file.h"
#include "cli/profile_machine.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/plan_memory.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune profile -o machine.json                     networks of the usual kinds; a minute or two
  attune profile -o machine.json --threads 2 a.att b.att
  attune inspect flowers.att --target machine.json   what a step will take

Runs every program of the plans and takes the fastest time of each step, where it stands: with its
operands in the cache in which the steps before it leave them. Rounds over all plans spread the runs
of each, since other programs slow a machine down for seconds at a time. The times of a program's
steps are raised until they add up to its fastest run. A step that several plans of about the same
size have gets the median of their times.

The file is JSON, for reading and editing; docs/targets.md has the format. A target for a machine
that is not at hand may hold its peak and bandwidths alone.)";

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
  Plan file;
  std::unique_ptr<PlanInMemory> compiled;

  const Plan& plan() const { return compiled ? compiled->plan() : file; }
};

std::unique_ptr<Source> load_file(const std::string& path) {
  auto source = std::make_unique<Source>();
  source->name = path;
  throw_if_error(Plan::load(path.c_str(), &source->file));
  return source;
}

std::unique_ptr<Source> compile_here(const RepresentativePlan& described) {
  auto source = std::make_unique<Source>();
  source->name = described.name;
  source->compiled = std::make_unique<PlanInMemory>(
      compile(*described.model, described.options).plan, described.name);
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

bool is_target_file(const std::string& path) {
  try {
    read_target(path);
    return true;
  } catch (const Error&) {
    return false;
  }
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
  std::vector<ProfiledPlan> plans;
  for (const auto& source : sources) plans.push_back({source->name, &source->plan()});
  const Target target = profile_machine(plans, {options.session, options.rounds, options.name},
                                        [&](const std::string& text) { progress.show(text); });
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
