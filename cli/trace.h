#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "attune/trainer.h"
#include "cli/common.h"
#include "cli/step_times.h"

namespace attune::cli {

// What a training run spends its time on, as a trace that Perfetto and chrome://tracing show: one
// event for every step of the plan, within one for every step of the training, for the first
// kTracedSteps of these. A trace with an empty path records nothing.
class Trace : public Dataset {
 public:
  static constexpr int64_t kTracedSteps = 50;

  // Observes the session and reads `data`, which both must outlive this. Throws Error where the
  // path is taken by another kind of file.
  Trace(const std::string& path, Session& session, Dataset& data);
  ~Trace() override;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // Around Trainer::step.
  void begin_step();
  void end_step(const Trainer& trainer);
  // What happens between steps: a checkpoint, a validation.
  template <class F>
  void record(const char* category, const char* name, const F& work) {
    const auto start = Clock::now();
    work();
    if (between_) add(category, name, start, Clock::now());
  }
  // Writes the file, by way of a temporary one beside it. Throws Error.
  void write() const;

  // The data, with the time that it takes.
  int64_t size() const override { return data_.size(); }
  bool labelled() const override { return data_.labelled(); }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t index) override { return data_.describe(index); }
  double advantage(int64_t index) override { return data_.advantage(index); }
  double weight(int64_t index) override { return data_.weight(index); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Event {
    const char* category;
    std::string name;
    Clock::time_point start, end;
    int step;  // of the plan; < 0: none
  };

  static void observe(void* context, ProgramKind kind, int step, const KernelArgs& args);
  void add(const char* category, const std::string& name, Clock::time_point start,
           Clock::time_point end, int step = -1) {
    events_.push_back({category, name, start, end, step});
  }

  std::string path_;
  Session& session_;
  Dataset& data_;
  std::vector<Phase> phases_;
  std::vector<Event> events_;
  Clock::time_point origin_, step_start_, last_;
  int64_t steps_ = 0;
  bool in_step_ = false;  // a step that is recorded
  bool between_ = false;  // the step before was, or none was yet
};

}  // namespace attune::cli
