#include "tests/real_data/support.h"

#include <cstdio>
#include <cstring>

#include "engine/format/plan_generated.h"
#include "graph/ir/error.h"

namespace attune::test {

std::filesystem::path shared_folder() {
  return std::filesystem::path(ATTUNE_SOURCE_DIR) / ".." / "shared";
}

bool have_shared_folder() {
  if (std::filesystem::is_directory(shared_folder() / "data")) return true;
  std::puts("skipped: there is no folder ../shared with data and models");
  return false;
}

Learner::Learner(const Model& model, const CompileOptions& options, int threads)
    : compiled_(compile(model, options)) {
  bytes_.reset(new std::byte[compiled_.plan.size() + kSegmentAlignment]);
  const auto address = reinterpret_cast<uintptr_t>(bytes_.get());
  aligned_ = bytes_.get() + (kSegmentAlignment - address % kSegmentAlignment) % kSegmentAlignment;
  std::memcpy(aligned_, compiled_.plan.data(), compiled_.plan.size());
  throw_if_error(Plan::from_memory({aligned_, compiled_.plan.size()}, "plan", &plan_));
  SessionOptions session_options;
  session_options.threads = threads;
  throw_if_error(Session::create(plan_, session_options, &session_));
}

std::unique_ptr<Dataset> Learner::open(const std::string& path) const {
  DatasetRequest request;
  const Tensor x = session_->port(ProgramKind::train_step, PortRole::input).tensor;
  const PlanContents& contents = compiled_.contents;
  ExampleSpec input{contents.programs.front().graph.inputs.front().name, x.dtype, {}};
  for (int i = 1; i < x.shape.rank; ++i) input.shape.dims[input.shape.rank++] = x.shape[i];
  request.inputs = {input};
  request.preprocess = plan_.preprocess();
  request.class_names = contents.classes;
  request.classes = contents.class_count;
  std::unique_ptr<Dataset> data;
  throw_if_error(open_dataset(path, request, &data));
  return data;
}

double Learner::accuracy(Dataset& data) {
  Evaluation evaluation;
  throw_if_error(evaluate(*session_, data, &evaluation));
  return 100 * evaluation.accuracy;
}

void Learner::train(Dataset& data, int64_t epochs, double rate) {
  TrainOptions options;
  options.epochs = epochs;
  options.schedule.base = rate;
  options.schedule.kind = ScheduleKind::cosine;
  std::unique_ptr<Trainer> trainer;
  throw_if_error(Trainer::create(*session_, data, options, &trainer));
  while (!trainer->done()) throw_if_error(trainer->step());
}

}  // namespace attune::test
