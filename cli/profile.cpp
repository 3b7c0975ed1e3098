#include <deque>

#include "cli/output_file.h"
#include "cli/profile_machine.h"
#include "cli/progress_line.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/pipeline/plan_in_memory.h"

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

int run(const Options& options) {
  check_replaceable(options.output, "a target", ".json", is_target_file);
  ProgressLine line(options.output_options.quiet);
  const auto show = [&](const std::string& text) { line.show("attune: " + shown(text)); };
  std::deque<Plan> files;  // plans stay where they are
  std::deque<PlanInMemory> compiled;
  std::vector<ProfiledPlan> plans;
  for (const std::string& path : options.plans) {
    throw_if_error(Plan::load(path.c_str(), &files.emplace_back()));
    plans.push_back({path, &files.back()});
  }
  if (plans.empty()) {
    show("compiling networks of the usual kinds");
    for (const RepresentativePlan& plan : representative_plans()) {
      compiled.emplace_back(compile(*plan.model, plan.options).plan, plan.name);
      plans.push_back({plan.name, &compiled.back().plan()});
    }
  }
  const Target target =
      profile_machine(plans, {options.session, options.rounds, options.name}, show);
  line.finish();
  const std::string text = target_text(target);
  write_text(options.output, text);

  if (options.output_options.json) {
    print_json(Json{{"target", options.output},
                    {"name", target.name},
                    {"threads", target.threads},
                    {"gflop_s", target.gflop_s},
                    {"plans", plans.size()},
                    {"points", target.points.size()}});
    return 0;
  }
  Table table({"", ""});
  table.row({"target", fmt::format("{}, {}", options.output, bytes_text(text.size()))});
  table.row(
      {"machine", fmt::format("{}, {} thread{}, {:.1f} GFLOP/s", shown(target.name), target.threads,
                              target.threads == 1 ? "" : "s", target.gflop_s)});
  table.row({"points",
             fmt::format("{} steps of {} plans", count_text(target.points.size()), plans.size())});
  print("{}", table.text());
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
                   "Plans whose steps to measure (default: networks of the usual kinds)");
  verb->add_option("--name", options->name, "The machine's name (default: its host name)");
  verb->add_option("--rounds", options->rounds, "How often all plans are measured")
      ->check(CLI::Range(1, 1000));
  options->session.add(verb);
  options->output_options.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
