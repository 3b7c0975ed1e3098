#include "cli/profile_machine.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "cli/machine_peak.h"
#include "cli/step_times.h"
#include "sparse_update/cost/program_estimate.h"

namespace attune::cli {
namespace {

constexpr double kRunSeconds = 0.15;  // of a program in a round
constexpr int kMostRepeats = 60;

// The fastest time of every step at its place, over the rounds; and as much more as the fastest run
// of its program took than the sum of these, which are never had all at once.
class Measurements {
 public:
  void add(size_t source, const Session& session, const ProgramTimes& times) {
    const std::vector<StepWork> steps = program_work(session, times.kind);
    const auto [sum, is_first] = sums_.try_emplace({source, times.kind}, times.fastest_sum);
    if (!is_first) sum->second = std::min(sum->second, times.fastest_sum);
    for (size_t i = 0; i < steps.size(); ++i) {
      const StepWork& work = steps[i];
      const std::string key =
          fmt::format("{}/{}/{}/{}", op_name(work.op), backend_name(work.backend), work.shape,
                      work.program_bytes);
      const auto [step, is_new] = steps_.try_emplace(key, Step{work, {}});
      const auto place = std::make_pair(Program{source, times.kind}, i);
      const double us = std::max(1e6 * times.fastest_steps[i], kLeastUs);
      const auto [fastest, first] =
          step->second.times.try_emplace(place, Time{us, static_cast<double>(work.runs)});
      if (!first) fastest->second.us = std::min(fastest->second.us, us);
    }
  }

  std::vector<RatePoint> points() const {
    std::map<Program, double> sums_of_fastest;
    for (const auto& [key, step] : steps_)
      for (const auto& [place, time] : step.times) sums_of_fastest[place.first] += 1e-6 * time.us;
    std::vector<RatePoint> points;
    for (const auto& [key, step] : steps_) {
      std::vector<double> us;
      for (const auto& [place, time] : step.times)
        us.push_back(time.us / time.runs *
                     std::max(1.0, sums_.at(place.first) / sums_of_fastest.at(place.first)));
      const auto middle = us.begin() + static_cast<std::ptrdiff_t>(us.size() / 2);
      std::nth_element(us.begin(), middle, us.end());
      const StepWork& work = step.work;
      points.push_back({work.op, work.backend, work.kind, work.shape, work.macs, work.bytes,
                        *middle, work.program_bytes});
    }
    return points;
  }

 private:
  static constexpr double kLeastUs = 1e-3;  // where a clock is too coarse to see a step
  using Program = std::pair<size_t, ProgramKind>;
  struct Time {
    double us;    // of all times that it runs with its program
    double runs;  // how often that is
  };
  struct Step {
    StepWork work;
    std::map<std::pair<Program, size_t>, Time> times;  // by place
  };
  std::map<std::string, Step> steps_;
  std::map<Program, double> sums_;  // seconds of the steps of the fastest run
};

void measure(const Plan& plan, size_t number, const SessionChoice& choice,
             Measurements* measurements) {
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(plan, choice.options(), &session));
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

Target describe_machine(const ProfileOptions& options, std::vector<RatePoint> points) {
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

}  // namespace

Target profile_machine(const std::vector<ProfiledPlan>& plans, const ProfileOptions& options,
                       const std::function<void(const std::string&)>& show) {
  Measurements measurements;
  for (int round = 0; round < options.rounds; ++round)
    for (size_t i = 0; i < plans.size(); ++i) {
      show(fmt::format("round {} of {}, plan {} of {}: {}", round + 1, options.rounds, i + 1,
                       plans.size(), plans[i].name));
      measure(*plans[i].plan, i, options.session, &measurements);
    }
  show("the machine's peak and bandwidths");
  return describe_machine(options, measurements.points());
}

}  // namespace attune::cli
