#include "sparse_update/sensitivity/fisher.h"

#include <algorithm>
#include <cmath>

#include "engine/batch.h"
#include "graph/ir/error.h"
#include "sparse_update/parallel.h"
#include "sparse_update/pipeline/plan_in_memory.h"

namespace attune {
namespace {

// Parts of the examples, each summed by itself and in order, so that threads decide nothing.
constexpr int64_t kParts = 4;

// Sums over examples of one parameter's gradient.
struct Sums {
  std::vector<float> gradient;  // by element
  std::vector<double> squares;  // by channel
  int64_t inner = 1;            // elements in a row that are of one channel
};

template <class Real>
void add(const Tensor& gradient, Sums* sums) {
  const size_t channels = sums->squares.size(), inner = static_cast<size_t>(sums->inner);
  const Real* values = gradient.as<Real>();
  for (size_t i = 0; i < sums->gradient.size(); ++i) {
    const double x = static_cast<double>(values[i]);
    sums->gradient[i] += static_cast<float>(x);
    sums->squares[i / inner % channels] += x * x;
  }
}

// A parameter whose gradient is read; `axis` of its channels, -1: all elements are one.
struct Read {
  std::string parameter;
  int axis = -1;
};

// By layer its weight, and behind it its biases.
std::vector<Read> reads_of(const SearchSpace& space) {
  std::vector<Read> reads;
  for (const SpaceLayer& layer : space.layers) {
    reads.push_back({layer.weight, layer.input_axis});
    for (const std::string& bias : layer.biases) reads.push_back({bias, -1});
  }
  return reads;
}

// A session of the plan that trains everything, one example at a time, at a learning rate of zero.
class GradientReader {
 public:
  GradientReader(const Plan& plan, const std::vector<Read>& reads, Dataset& examples,
                 const SessionOptions& options)
      : reads_(reads), examples_(examples) {
    throw_if_error(Session::create(plan, options, &session_));
    throw_if_error(Batch::bind(*session_, kTrain, examples, &batch_));
  }

  // `sums`: as the parameters that are read.
  void add_example(int64_t example, std::vector<Sums>* sums) {
    run(example);
    for (size_t i = 0; i < reads_.size(); ++i) add_gradient(reads_[i], &(*sums)[i]);
  }

 private:
  static constexpr ProgramKind kTrain = ProgramKind::train_step;

  void run(int64_t example) {
    throw_if_error(batch_.fill(examples_, nullptr, example, 1));
    set_scalar(session_->port(kTrain, PortRole::rate).tensor, 0);
    if (const Tensor step = session_->port(kTrain, PortRole::step).tensor) set_scalar(step, 1);
    throw_if_error(session_->run(kTrain));
    if (!std::isfinite(batch_.loss()))
      throw_error("--estimator fisher: the loss of {} is not finite; the data holds such numbers",
                  examples_.describe(example));
  }

  void add_gradient(const Read& read, Sums* sums) const {
    const auto& [parameter, axis] = read;
    const Tensor gradient = session_->output(kTrain, std::string(kGradientPrefix) + parameter);
    if (!gradient) return;
    if (sums->gradient.empty()) {
      sums->gradient.resize(static_cast<size_t>(gradient.shape.elements()));
      sums->squares.resize(axis < 0 ? 1 : static_cast<size_t>(gradient.shape[axis]));
      sums->inner = gradient.shape.product(axis + 1, gradient.shape.rank);
    }
    if (gradient.dtype == DType::f64)
      add<double>(gradient, sums);
    else
      add<float>(gradient, sums);
  }

  const std::vector<Read>& reads_;
  Dataset& examples_;
  std::unique_ptr<Session> session_;
  Batch batch_;
};

// Of parameter `index` in all parts.
GradientMoments moments(const std::vector<std::vector<Sums>>& parts, size_t index, int64_t count) {
  const Sums& first = parts.front()[index];
  const size_t channels = first.squares.size();
  const auto n = static_cast<double>(count);
  GradientMoments made{std::vector<double>(channels), std::vector<double>(channels)};
  for (size_t i = 0; i < first.gradient.size(); ++i) {
    double sum = 0;
    for (const auto& part : parts)
      if (!part[index].gradient.empty()) sum += static_cast<double>(part[index].gradient[i]);
    made.squared_mean[i / static_cast<size_t>(first.inner) % channels] += sum / n * (sum / n);
  }
  for (size_t c = 0; c < channels; ++c) {
    for (const auto& part : parts)
      if (!part[index].squares.empty()) made.trace[c] += part[index].squares[c] / n;
    // The mean of n has a share of trace / n that is chance.
    if (count > 1) made.squared_mean[c] = (n * made.squared_mean[c] - made.trace[c]) / (n - 1);
  }
  return made;
}

// Of two parameters as of one.
void add(const GradientMoments& one, GradientMoments* both) {
  both->trace.resize(one.trace.size());
  both->squared_mean.resize(one.squared_mean.size());
  for (size_t c = 0; c < one.trace.size(); ++c) {
    both->trace[c] += one.trace[c];
    both->squared_mean[c] += one.squared_mean[c];
  }
}

// What a choice trains, all together.
struct Total {
  double trace = 0, squared_mean = 0;

  void add(const GradientMoments& moments, size_t channel) {
    trace += moments.trace[channel];
    squared_mean += moments.squared_mean[channel];
  }
  double gain(double rate, int batch) const {
    if (rate == 0) return squared_mean;
    return rate * squared_mean -
           rate * rate / 2 * kCurvatureShare * trace * trace / static_cast<double>(batch);
  }
};

}  // namespace

FisherInformation fisher_information(const Model& model, const CompileOptions& options,
                                     const SearchSpace& space, Dataset& examples, int64_t count,
                                     const SessionOptions& session, int threads,
                                     const Progress& progress) {
  CompileOptions full = options;
  full.scheme = "full";
  full.batch = full.evaluate_batch = full.predict_batch = 1;
  full.micro_batch = 0;
  full.classes = 0;
  full.expose_gradients = true;
  const Compiled compiled = compile(model, full);
  const PlanInMemory loaded(compiled.plan, model.path());
  SessionOptions train_only = session;
  train_only.threads = 1;
  train_only.pool = nullptr;
  train_only.programs = 1u << static_cast<unsigned>(ProgramKind::train_step);

  count = std::clamp<int64_t>(count, 1, examples.size());
  const std::vector<Read> reads = reads_of(space);
  std::vector<std::vector<Sums>> parts(kParts, std::vector<Sums>(reads.size()));
  WorkCount work(progress, "Fisher information", static_cast<size_t>(count));
  for_each_in_parallel(kParts, threads, [&](size_t part) {
    GradientReader reader(loaded.plan(), reads, examples, train_only);
    for (auto i = static_cast<int64_t>(part); i < count; i += kParts) {
      reader.add_example(i, &parts[part]);
      work.add(1, true);
    }
  });
  FisherInformation information;
  size_t next = 0;
  for (const SpaceLayer& layer : space.layers) {
    information.weight.push_back(moments(parts, next++, count));
    information.bias.emplace_back();
    for (size_t i = 0; i < layer.biases.size(); ++i)
      add(moments(parts, next++, count), &information.bias.back());
  }
  return information;
}

Gains fisher_gains(const SearchSpace& space, const FisherInformation& information, double rate,
                   int batch) {
  Gains gains;
  gains.unit = "fisher";
  gains.bias.push_back(0);
  Total biases;
  for (size_t l = space.layers.size(); l-- > 0;) {
    if (!information.bias[l].trace.empty()) biases.add(information.bias[l], 0);
    gains.bias.push_back(biases.gain(rate, batch));
  }
  for (size_t l = 0; l < space.layers.size(); ++l) {
    const GradientMoments& moments = information.weight[l];
    std::vector<double> row;
    for (const WeightOption& option : space.layers[l].options) {
      Total total;
      if (option.ratio == 1)
        for (size_t c = 0; c < moments.trace.size(); ++c) total.add(moments, c);
      for (int64_t c : option.channels) total.add(moments, static_cast<size_t>(c));
      row.push_back(total.gain(rate, batch));
    }
    gains.weight.push_back(std::move(row));
  }
  return gains;
}

}  // namespace attune
