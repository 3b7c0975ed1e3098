#include "cli/trace.h"

#include <span>

#include "cli/output_file.h"
#include "engine/format/plan_generated.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/cost/program_estimate.h"

namespace attune::cli {

Trace::Trace(const std::string& path, Session& session, Dataset& data)
    : path_(path), session_(session), data_(data) {
  if (path.empty()) return;
  check_replaceable(path, "a trace", ".json", is_trace_file);
  phases_ = step_phases(*session.plan().program(ProgramKind::train_step));
  int runs = 0;
  each_run(*session.plan().program(ProgramKind::train_step), [&](int, int) { ++runs; });
  events_.reserve(static_cast<size_t>(kTracedSteps) * static_cast<size_t>(runs + 4));
  origin_ = Clock::now();
  between_ = true;
  session.set_observer(&Trace::observe, this);
}

Trace::~Trace() {
  if (!path_.empty()) session_.set_observer(nullptr, nullptr);
}

void Trace::begin_step() {
  between_ = in_step_ = !path_.empty() && steps_ < kTracedSteps;
  step_start_ = last_ = Clock::now();
}

Status Trace::read(int64_t index, int field, std::span<std::byte> bytes) {
  Status status = data_.read(index, field, bytes);
  if (in_step_) last_ = Clock::now();
  return status;
}

void Trace::observe(void* context, ProgramKind kind, int step, const KernelArgs&) {
  auto& self = *static_cast<Trace*>(context);
  if (!self.in_step_ || kind != ProgramKind::train_step) return;
  const auto now = Clock::now();
  // The batch is complete when the last example has been read.
  if (step == 0) self.add("data", "read batch", self.step_start_, self.last_);
  self.add(phase_name(self.phases_[static_cast<size_t>(step)]), self.session_.step_name(kind, step),
           self.last_, now, step);
  self.last_ = now;
}

void Trace::end_step(const Trainer& trainer) {
  if (!in_step_) return;
  add("step", fmt::format("step {}", trainer.progress().step), step_start_, Clock::now());
  in_step_ = false;
  ++steps_;
}

void Trace::write() const {
  if (path_.empty()) return;
  // Whole nanoseconds, so that what touches in time touches in the file.
  const auto microseconds = [&](Clock::time_point time) {
    return static_cast<double>(
               std::chrono::duration_cast<std::chrono::nanoseconds>(time - origin_).count()) /
           1e3;
  };
  Json list = Json::array();
  const auto name_of = [&](const char* what, const std::string& name) {
    list.push_back(
        Json{{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", name}}}});
  };
  name_of("process_name", "attune train");
  name_of("thread_name", "training");
  const std::vector<StepWork> steps = program_work(session_, ProgramKind::train_step);
  for (const Event& event : events_) {
    Json json{{"name", event.name},
              {"cat", event.category},
              {"ph", "X"},
              {"pid", 1},
              {"tid", 1},
              {"ts", microseconds(event.start)},
              {"dur", microseconds(event.end) - microseconds(event.start)}};
    if (event.step >= 0) {
      const StepWork& work = steps[static_cast<size_t>(event.step)];
      json["args"] = Json{{"step", event.step},
                          {"operator", op_name(work.op)},
                          {"backend", backend_name(work.backend)},
                          {"macs", work.macs},
                          {"bytes", work.bytes}};
    }
    list.push_back(std::move(json));
  }
  write_text(path_, dump_line(Json{{"displayTimeUnit", "ms"}, {"traceEvents", list}}) + '\n');
}

}  // namespace attune::cli
