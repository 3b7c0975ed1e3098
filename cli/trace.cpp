#include "cli/trace.h"

#include <cmath>
#include <fstream>
#include <span>

#include "cli/output_file.h"
#include "engine/format/plan_generated.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/cost/step_work.h"
#include "sparse_update/pipeline/compile.h"

namespace attune::cli {
namespace {

bool is_trace_file(const std::string& path) {
  std::ifstream file(path);
  const Json json = Json::parse(file, nullptr, false);
  return json.is_object() && json.contains("traceEvents");
}

}  // namespace

Trace::Trace(const std::string& path, Session& session, Dataset& data)
    : path_(path), session_(session), data_(data) {
  if (path.empty()) return;
  check_replaceable(path, "a trace", is_trace_file);
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
  for (const Event& event : events_) {
    Json json{{"name", event.name},
              {"cat", event.category},
              {"ph", "X"},
              {"pid", 1},
              {"tid", 1},
              {"ts", microseconds(event.start)},
              {"dur", microseconds(event.end) - microseconds(event.start)}};
    if (event.step >= 0) {
      constexpr auto kKind = ProgramKind::train_step;
      const Op op = session_.step_op(kKind, event.step);
      json["args"] = Json{{"step", event.step},
                          {"operator", op_name(op)},
                          {"backend", backend_name(session_.step_backend(kKind, event.step))},
                          {"macs", step_macs(session_, kKind, event.step)},
                          {"bytes", moved_bytes(op, session_.step_args(kKind, event.step))}};
    }
    list.push_back(std::move(json));
  }
  const std::string text = dump_line(Json{{"displayTimeUnit", "ms"}, {"traceEvents", list}}) + '\n';
  write_file(path_, std::as_bytes(std::span(text)));
}

}  // namespace attune::cli
