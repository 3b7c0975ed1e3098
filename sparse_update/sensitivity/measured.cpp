#include "sparse_update/sensitivity/measured.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include "engine/plan_generated.h"
#include "engine/trainer.h"
#include "graph/error.h"
#include "sparse_update/parallel.h"
#include "sparse_update/plan_memory.h"
#include "sparse_update/sensitivity/result_cache.h"

namespace attune {
namespace {

constexpr double kDiverged = -std::numeric_limits<double>::infinity();

// What a scheme reaches, larger is better; kDiverged where it does not get through.
struct Reached {
  double accuracy = kDiverged;
  double loss = std::numeric_limits<double>::infinity();
};

class Measurement {
 public:
  Measurement(const OnnxModel& model, const CompileOptions& options, TaskExamples& examples,
              const MeasureOptions& measure)
      : model_(model), options_(options), examples_(examples), measure_(measure) {
    measure_.session.threads = 1;
    measure_.session.pool = nullptr;
  }

  // Of everything that the result depends on beside the scheme.
  std::string settings() const {
    std::string shapes;
    for (const auto& [name, dims] : options_.input_shapes)
      shapes += fmt::format(" {}:{}", name, fmt::join(dims, "x"));
    const std::string text = fmt::format(
        "{:016x} {:016x} {:016x} {} {} batch {} {}{} steps {} rate {} seed {} backend {} fuse {}",
        model_.hash(), examples_.training->hash(), examples_.validation->hash(),
        loss_name(options_.loss), options_.optimizer.text(), options_.batch,
        static_cast<int>(options_.real), shapes, measure_.steps, measure_.rate, measure_.seed,
        static_cast<int>(measure_.session.backend), options_.fuse);
    return fmt::format("{:016x}", hash64(std::as_bytes(std::span(text))));
  }

  Reached run(const std::string& scheme) const {
    CompileOptions options = options_;
    options.scheme = scheme;
    const Compiled compiled = compile(model_, options);
    const PlanInMemory loaded(compiled.plan, model_.path());
    SessionOptions session_options = measure_.session;
    session_options.programs = 1u << static_cast<unsigned>(ProgramKind::train_step) |
                               1u << static_cast<unsigned>(ProgramKind::evaluate);
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(loaded.plan(), session_options, &session));
    TrainOptions train;
    train.steps = measure_.steps;
    train.seed = measure_.seed;
    train.schedule = {
        .kind = ScheduleKind::cosine, .base = measure_.rate, .warmup_steps = measure_.steps / 10};
    std::unique_ptr<Trainer> trainer;
    throw_if_error(Trainer::create(*session, *examples_.training, train, &trainer));
    // From here on only a loss that is not finite can fail.
    while (!trainer->done())
      if (!trainer->step()) return {};
    Evaluation evaluation;
    if (!evaluate(*session, *examples_.validation, &evaluation)) return {};
    return {evaluation.accuracy, evaluation.loss};
  }

 private:
  const OnnxModel& model_;
  const CompileOptions& options_;
  TaskExamples& examples_;
  MeasureOptions measure_;
};

// The schemes to measure: the classifier alone, then every choice by itself, in the order in which
// Gains lists them.
std::vector<std::string> schemes_of(const SearchSpace& space) {
  std::vector<std::string> schemes = {scheme_json(space, frozen_point(space))};
  for (int k = 1; k <= space.depth(); ++k) {
    SchemePoint point = frozen_point(space);
    point.bias_last = k;
    schemes.push_back(scheme_json(space, point));
  }
  for (size_t l = 0; l < space.layers.size(); ++l)
    for (size_t o = 0; o < space.layers[l].options.size(); ++o) {
      SchemePoint point = frozen_point(space);
      point.options[l] = static_cast<int>(o);
      schemes.push_back(scheme_json(space, point));
    }
  return schemes;
}

nlohmann::json as_json(const Reached& reached) {
  // JSON has no infinity.
  if (reached.accuracy == kDiverged) return {{"diverged", true}};
  return {{"accuracy", reached.accuracy}, {"loss", reached.loss}};
}

Reached from_json(const nlohmann::json& json) {
  if (!json.is_object() || !json.contains("accuracy") || !json["accuracy"].is_number() ||
      !json.contains("loss") || !json["loss"].is_number())
    return {};
  return {json["accuracy"], json["loss"]};
}

}  // namespace

Gains measured_gains(const OnnxModel& model, const CompileOptions& options,
                     const SearchSpace& space, TaskExamples& examples,
                     const MeasureOptions& measure, const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  const Measurement measurement(model, options, examples, measure);
  const std::string settings = measurement.settings();
  const std::vector<std::string> schemes = schemes_of(space);
  ResultCache cache(measure.cache);
  std::vector<Reached> reached(schemes.size());
  std::mutex reporting;
  size_t done = 0, run = 0;
  const auto start = Clock::now();
  for_each_in_parallel(schemes.size(), measure.threads, [&](size_t i) {
    const std::string key = settings + " " + schemes[i];
    const auto known = cache.find(key);
    reached[i] = known ? from_json(*known) : measurement.run(schemes[i]);
    if (!known) cache.add(key, as_json(reached[i]));
    const std::lock_guard lock(reporting);
    ++done;
    if (!known) ++run;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (progress)
      progress("sensitivity", done, schemes.size(),
               run == 0 ? -1
                        : seconds / static_cast<double>(run) *
                              static_cast<double>(schemes.size() - done));
  });

  const bool classifies = options.loss == Loss::cross_entropy;
  const auto value = [&](const Reached& r) { return classifies ? r.accuracy : -r.loss; };
  Gains gains;
  gains.unit = classifies ? "accuracy" : "loss";
  gains.base = value(reached[0]);
  if (!std::isfinite(gains.base))
    throw_error("--learning-rate {}: training the classifier alone diverges; give a smaller one",
                measure.rate);
  size_t next = 1;
  const auto gain = [&] { return value(reached[next++]) - gains.base; };
  gains.bias.push_back(0);
  for (int k = 1; k <= space.depth(); ++k) gains.bias.push_back(gain());
  for (const SpaceLayer& layer : space.layers) {
    std::vector<double> row;
    for (size_t o = 0; o < layer.options.size(); ++o) row.push_back(gain());
    gains.weight.push_back(std::move(row));
  }
  return gains;
}

}  // namespace attune
