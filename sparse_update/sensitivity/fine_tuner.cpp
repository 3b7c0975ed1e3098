#include "sparse_update/sensitivity/fine_tuner.h"

#include <cmath>
#include <optional>

#include "attune/trainer.h"
#include "engine/format/plan_generated.h"
#include "graph/ir/error.h"
#include "graph/ir/interrupt.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/plan_in_memory.h"

namespace attune {
namespace {

// Of everything that a result depends on beside the scheme.
std::string settings_key(const Model& model, const CompileOptions& options, uint64_t training,
                         uint64_t validation, const FineTuning& how) {
  std::string shapes;
  for (const auto& [name, dims] : options.input_shapes)
    shapes += fmt::format(" {}:{}", name, fmt::join(dims, "x"));
  for (const auto& [name, size] : options.bound.axes) shapes += fmt::format(" {}={}", name, size);
  for (const auto& [name, axis] : options.bound.batch_axes)
    shapes += fmt::format(" {} by axis {}", name, axis);
  for (const auto& [name, given] : options.bound.inputs)
    shapes +=
        fmt::format(" {}=[{}]{}", name, fmt::join(given.dims, "x"), fmt::join(given.elements, ","));
  std::string text = fmt::format(
      "{:016x} {:016x} {:016x} {} {} batch {} {}{} steps {} rate {} seed {} backend {} fuse {}",
      model.hash(), training, validation, loss_name(options.loss), options.optimizer.text(),
      options.batch, static_cast<int>(options.real), shapes, how.steps, how.rate, how.seed,
      static_cast<int>(how.session.backend), options.fuse);
  if (options.classes > 0)
    text += fmt::format(" classes {} of seed {}", options.classes, options.seed);
  if (!options.output.empty()) text += " output " + options.output;
  if (const LossSettings& s = options.loss_settings; s.class_axis != 0)
    text += fmt::format(" classes on axis {}", s.class_axis);
  if (const LossSettings& s = options.loss_settings; s.huber_delta != 1 || s.label_smoothing > 0)
    text += fmt::format(" delta {} smoothing {}", s.huber_delta, s.label_smoothing);
  else if (s.entropy_bonus > 0)
    text += fmt::format(" entropy {}", s.entropy_bonus);
  return fmt::format("{:016x}", hash64(std::as_bytes(std::span(text))));
}

nlohmann::json as_json(const Reached& reached) {
  // JSON has no infinity.
  if (std::isinf(reached.accuracy)) return {{"diverged", true}};
  return {{"accuracy", reached.accuracy}, {"loss", reached.loss}};
}

// None where no training ends like that: the line is damaged, or somebody else's.
std::optional<Reached> from_json(const nlohmann::json& json) {
  if (json == nlohmann::json{{"diverged", true}}) return Reached{};
  if (!json.is_object() || !json.contains("accuracy") || !json["accuracy"].is_number() ||
      !json.contains("loss") || !json["loss"].is_number())
    return std::nullopt;
  const Reached reached{json["accuracy"], json["loss"]};
  const bool possible = reached.accuracy >= 0 && reached.accuracy <= 1 && reached.loss >= 0 &&
                        std::isfinite(reached.loss);
  return possible ? std::optional(reached) : std::nullopt;
}

Reached train_and_judge(const Model& model, const CompileOptions& options,
                        ExamplesInMemory& training, ExamplesInMemory& validation,
                        const FineTuning& how) {
  const Compiled compiled = compile(model, options);
  const PlanInMemory loaded(compiled.plan, model.path());
  SessionOptions session_options = how.session;
  session_options.threads = 1;
  session_options.pool = nullptr;
  session_options.programs = 1u << static_cast<unsigned>(ProgramKind::train_step) |
                             1u << static_cast<unsigned>(ProgramKind::evaluate);
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), session_options, &session));
  TrainOptions train;
  train.steps = how.steps;
  train.seed = how.seed;
  train.schedule = {.kind = ScheduleKind::cosine, .base = how.rate, .warmup_steps = how.steps / 10};
  std::unique_ptr<Trainer> trainer;
  throw_if_error(Trainer::create(*session, training, train, &trainer));
  // From here on only a loss that is not finite can fail.
  while (!trainer->done()) {
    check_interrupt();
    if (!trainer->step()) return {};
  }
  Evaluation evaluation;
  if (!evaluate(*session, validation, &evaluation)) return {};
  return {evaluation.accuracy, evaluation.loss};
}

}  // namespace

ModelPtr warm_up_head(const Model& model, CompileOptions options, Dataset& training, int64_t epochs,
                      double rate, const SessionOptions& session_options, uint64_t seed) {
  options.scheme = "head";
  const Compiled compiled = compile(model, options);
  const PlanInMemory loaded(compiled.plan, model.path());
  SessionOptions train_only = session_options;
  train_only.programs = 1u << static_cast<unsigned>(ProgramKind::train_step);
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), train_only, &session));
  TrainOptions train;
  train.epochs = epochs;
  train.schedule = {.kind = ScheduleKind::cosine, .base = rate};
  train.seed = seed;
  std::unique_ptr<Trainer> trainer;
  throw_if_error(Trainer::create(*session, training, train, &trainer));
  while (!trainer->done()) {
    check_interrupt();
    throw_if_error(trainer->step());
  }
  return parse_model(exported_model(model, loaded.plan(), session->state()), model.path());
}

FineTuner::FineTuner(const Model& model, const CompileOptions& options, const std::string& cache,
                     ResultCache::Lost cache_lost)
    : model_(model), options_(options), cache_(cache, std::move(cache_lost)) {}

Reached FineTuner::run(const std::string& scheme, ExamplesInMemory& training,
                       ExamplesInMemory& validation, const FineTuning& how, bool* known) {
  const std::string key =
      settings_key(model_, options_, training.hash(), validation.hash(), how) + " " + scheme;
  const auto cached = cache_.find(key);
  const std::optional<Reached> found = cached ? from_json(*cached) : std::nullopt;
  if (known) *known = found.has_value();
  if (found) return *found;
  CompileOptions options = options_;
  options.scheme = scheme;
  const Reached reached = train_and_judge(model_, options, training, validation, how);
  cache_.add(key, as_json(reached));
  return reached;
}

}  // namespace attune
