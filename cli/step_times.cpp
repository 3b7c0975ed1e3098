#include "cli/step_times.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "engine/batch.h"
#include "engine/random.h"
#include "graph/ir/error.h"

namespace attune::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kWarmUps = 2;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Inputs of a program, kept apart, since a run may overwrite the arena's.
class Inputs {
 public:
  Inputs(const Session& session, ProgramKind kind) {
    Random random(0, 0);
    for (int i = 0; i < session.port_count(kind); ++i) {
      const SessionPort port = session.port(kind, i);
      if (!is_fed(port.role)) continue;
      fill(port, random);
      const auto* bytes = port.tensor.as<std::byte>();
      ports_.push_back({port.tensor, {bytes, bytes + port.tensor.bytes()}});
    }
  }

  void write() const {
    for (const Port& port : ports_)
      std::memcpy(port.tensor.data, port.bytes.data(), port.bytes.size());
  }

 private:
  struct Port {
    Tensor tensor;
    std::vector<std::byte> bytes;
  };

  static void fill(const SessionPort& port, Random& random) {
    const Tensor& tensor = port.tensor;
    if (port.role == PortRole::rate || port.role == PortRole::step) {
      set_scalar(tensor, port.role == PortRole::step ? 1 : 0);
      return;
    }
    const auto count = static_cast<size_t>(tensor.shape.elements());
    const auto reals = [&](auto* values) {
      for (size_t i = 0; i < count; ++i)
        values[i] = port.role == PortRole::weight
                        ? 1
                        : static_cast<float>(random.next() >> 40) * 0x1p-23f - 1;
    };
    if (tensor.dtype == DType::f32) {
      reals(tensor.as<float>());
    } else if (tensor.dtype == DType::f64) {
      reals(tensor.as<double>());
    } else {
      std::memset(tensor.data, 0, tensor.bytes());
      for (size_t i = 0; port.limit > 0 && i < count; ++i)
        tensor.as<int32_t>()[i] =
            static_cast<int32_t>(random.below(static_cast<uint64_t>(port.limit)));
    }
  }

  std::vector<Port> ports_;
};

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The times of one run's steps: from the end of the one before, or from the start of the run; added
// up where a step is repeated.
struct StepClock {
  bool undisturbed = false;
  Clock::time_point last;
  double last_thread = 0;
  std::vector<double> seconds;

  void start() {
    if (undisturbed) last_thread = thread_seconds();
    last = Clock::now();
  }

  static void observe(void* context, ProgramKind, int step, const KernelArgs&) {
    auto& self = *static_cast<StepClock*>(context);
    const auto now = Clock::now();
    double seconds = std::chrono::duration<double>(now - self.last).count();
    if (self.undisturbed) seconds = std::min(seconds, thread_seconds() - self.last_thread);
    self.seconds[static_cast<size_t>(step)] += seconds;
    if (self.undisturbed)
      self.start();
    else
      self.last = now;
  }
};

// Observes a session as long as it lives.
class Observation {
 public:
  Observation(Session& session, StepClock& clock) : session_(session) {
    session_.set_observer(&StepClock::observe, &clock);
  }
  ~Observation() { session_.set_observer(nullptr, nullptr); }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

 private:
  Session& session_;
};

}  // namespace

ProgramTimes measure_program(Session& session, ProgramKind kind, int repeats,
                             StepClockKind clock_kind) {
  const auto steps = static_cast<size_t>(session.step_count(kind));
  ProgramTimes times;
  times.kind = kind;
  times.step_phase = step_phases(*session.plan().program(kind));
  const Inputs inputs(session, kind);
  StepClock clock;
  clock.undisturbed = clock_kind == StepClockKind::undisturbed && session.threads() == 1;
  const Observation observation(session, clock);

  std::vector<double> totals, sums_of_steps, phases[kPhaseCount];
  std::vector<std::vector<double>> runs(steps);
  for (int i = -kWarmUps; i < repeats; ++i) {
    inputs.write();
    clock.seconds.assign(steps, 0);
    const auto start = Clock::now();
    clock.start();
    throw_if_error(session.run(kind));
    const double total = std::chrono::duration<double>(Clock::now() - start).count();
    if (i == -kWarmUps) times.first = total;
    if (i < 0) continue;
    totals.push_back(total);
    double sums[kPhaseCount] = {};
    for (size_t s = 0; s < steps; ++s) {
      runs[s].push_back(clock.seconds[s]);
      sums[static_cast<size_t>(times.step_phase[s])] += clock.seconds[s];
    }
    for (int p = 0; p < kPhaseCount; ++p) phases[p].push_back(sums[p]);
    sums_of_steps.push_back(std::accumulate(std::begin(sums), std::end(sums), 0.0));
  }
  session.reset_state();
  times.fastest = *std::min_element(totals.begin(), totals.end());
  times.fastest_sum = *std::min_element(sums_of_steps.begin(), sums_of_steps.end());
  times.total = median(std::move(totals));
  for (int p = 0; p < kPhaseCount; ++p) times.phases[p] = median(std::move(phases[p]));
  for (auto& run : runs) {
    times.fastest_steps.push_back(*std::min_element(run.begin(), run.end()));
    times.steps.push_back(median(std::move(run)));
  }
  return times;
}

}  // namespace attune::cli
