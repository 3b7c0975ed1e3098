#include "sparse_update/sensitivity/fisher.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <numeric>

#include "engine/batch.h"
#include "graph/error.h"
#include "sparse_update/parallel.h"
#include "sparse_update/plan_memory.h"

namespace attune {
namespace {

constexpr int64_t kChunk = 8;  // examples whose sums are added as one, whatever the threads

FisherInformation zeros(const SearchSpace& space) {
  FisherInformation sums;
  for (const SpaceLayer& layer : space.layers)
    sums.weight.emplace_back(static_cast<size_t>(layer.input_channels));
  sums.bias.resize(space.layers.size());
  return sums;
}

double square(double x) { return x * x; }

template <class Real>
void add_squares(const Tensor& gradient, int axis, std::vector<double>* sums) {
  const int64_t inner = gradient.shape.product(axis + 1, gradient.shape.rank);
  const auto channels = static_cast<int64_t>(sums->size());
  const Real* values = gradient.as<Real>();
  for (int64_t i = 0; i < gradient.shape.elements(); ++i)
    (*sums)[static_cast<size_t>(i / inner % channels)] += square(static_cast<double>(values[i]));
}

void add_squares(const Tensor& gradient, int axis, std::vector<double>* sums) {
  if (gradient.dtype == DType::f64)
    add_squares<double>(gradient, axis, sums);
  else
    add_squares<float>(gradient, axis, sums);
}

// A session of the plan that trains everything, one example at a time, at a learning rate of zero.
class GradientReader {
 public:
  GradientReader(const Plan& plan, const SearchSpace& space, Dataset& examples,
                 const SessionOptions& options)
      : space_(space), examples_(examples) {
    throw_if_error(Session::create(plan, options, &session_));
    throw_if_error(Batch::bind(*session_, kTrain, examples, &batch_));
  }

  void add(int64_t example, FisherInformation* sums) {
    throw_if_error(batch_.fill(examples_, nullptr, example, 1));
    set_scalar(session_->input(kTrain, "learning_rate"), 0);
    if (const Tensor step = session_->input(kTrain, "step")) set_scalar(step, 1);
    throw_if_error(session_->run(kTrain));
    if (!std::isfinite(batch_.loss()))
      throw_error("--estimator fisher: the loss of {} is not finite; the data holds such numbers",
                  examples_.describe(example));
    for (size_t l = 0; l < space_.layers.size(); ++l) {
      const SpaceLayer& layer = space_.layers[l];
      if (const Tensor gradient = gradient_of(layer.weight))
        add_squares(gradient, layer.input_axis, &sums->weight[l]);
      std::vector<double> bias(1);
      if (const Tensor gradient = gradient_of(layer.bias)) add_squares(gradient, 0, &bias);
      sums->bias[l] += bias[0];
    }
  }

 private:
  static constexpr ProgramKind kTrain = ProgramKind::train_step;

  Tensor gradient_of(const std::string& tensor) const {
    return tensor.empty() ? Tensor{} : session_->output(kTrain, "grad:" + tensor);
  }

  const SearchSpace& space_;
  Dataset& examples_;
  std::unique_ptr<Session> session_;
  Batch batch_;
};

void add(const FisherInformation& part, FisherInformation* sums) {
  for (size_t l = 0; l < part.bias.size(); ++l) {
    sums->bias[l] += part.bias[l];
    for (size_t c = 0; c < part.weight[l].size(); ++c) sums->weight[l][c] += part.weight[l][c];
  }
}

}  // namespace

FisherInformation fisher_information(const OnnxModel& model, const CompileOptions& options,
                                     const SearchSpace& space, Dataset& examples, int64_t count,
                                     const SessionOptions& session, int threads,
                                     const FisherProgress& progress) {
  CompileOptions full = options;
  full.scheme = "full";
  full.batch = full.evaluate_batch = full.predict_batch = 1;
  full.classes = 0;
  full.expose_gradients = true;
  const Compiled compiled = compile(model, full);
  const PlanInMemory loaded(compiled.plan, model.path());
  SessionOptions train_only = session;
  train_only.threads = 1;
  train_only.pool = nullptr;
  train_only.programs = 1u << static_cast<unsigned>(ProgramKind::train_step);

  count = std::clamp<int64_t>(count, 1, examples.size());
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  std::vector<FisherInformation> parts(static_cast<size_t>(chunks), zeros(space));
  std::mutex reporting;
  int64_t done = 0;
  const int workers = static_cast<int>(std::clamp<int64_t>(chunks, 1, threads));
  for_each_in_parallel(static_cast<size_t>(workers), workers, [&](size_t worker) {
    GradientReader reader(loaded.plan(), space, examples, train_only);
    for (auto chunk = static_cast<int64_t>(worker); chunk < chunks; chunk += workers) {
      const int64_t end = std::min(count, (chunk + 1) * kChunk);
      for (int64_t i = chunk * kChunk; i < end; ++i)
        reader.add(i, &parts[static_cast<size_t>(chunk)]);
      const std::lock_guard lock(reporting);
      done += end - chunk * kChunk;
      if (progress) progress(done, count);
    }
  });
  FisherInformation mean = zeros(space);
  for (const FisherInformation& part : parts) add(part, &mean);
  const double scale = 1 / static_cast<double>(count);
  for (double& x : mean.bias) x *= scale;
  for (auto& layer : mean.weight)
    for (double& x : layer) x *= scale;
  return mean;
}

Gains fisher_gains(const SearchSpace& space, const FisherInformation& information) {
  Gains gains;
  gains.unit = "fisher";
  gains.bias.push_back(0);
  for (size_t l = space.layers.size(); l-- > 0;)
    gains.bias.push_back(gains.bias.back() + information.bias[l]);
  for (size_t l = 0; l < space.layers.size(); ++l) {
    const std::vector<double>& scores = information.weight[l];
    std::vector<double> row;
    for (const WeightOption& option : space.layers[l].options) {
      double sum = 0;
      if (option.ratio == 1) sum = std::accumulate(scores.begin(), scores.end(), 0.0);
      for (int64_t channel : option.channels) sum += scores[static_cast<size_t>(channel)];
      row.push_back(sum);
    }
    gains.weight.push_back(std::move(row));
  }
  return gains;
}

}  // namespace attune
