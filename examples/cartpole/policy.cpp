#include "policy.h"

#include <cstring>

using attune::PortRole;
using attune::ProgramKind;
using attune::Status;

Status Choices::read(int64_t index, int field, std::span<std::byte> bytes) {
  const Choice& choice = all[static_cast<size_t>(index)];
  const auto source = field == attune::kTargetField ? std::as_bytes(std::span(&choice.action, 1))
                                                    : std::as_bytes(std::span(choice.observation));
  if (bytes.size() != source.size()) return Status::error("the plan is of another task");
  std::memcpy(bytes.data(), source.data(), bytes.size());
  return Status::ok();
}

Status Policy::load(const char* plan_path) {
  ATTUNE_RETURN_IF_ERROR(attune::Plan::load(plan_path, &plan_));
  // The reference kernels give the same bits on every machine.
  ATTUNE_RETURN_IF_ERROR(
      attune::Session::create(plan_, {.backend = attune::BackendChoice::reference}, &session_));
  const bool learns = session_->has(ProgramKind::train_step) &&
                      session_->port(ProgramKind::train_step, PortRole::advantage);
  if (!learns || !session_->output(ProgramKind::predict, "probabilities"))
    return Status::error("%s: no policy; compile it with --loss policy_gradient", plan_path);
  return Status::ok();
}

int Policy::action_count() const {
  return session_->output(ProgramKind::predict, "probabilities").shape.last();
}

Status Policy::choose(std::span<const float> observation, Uniform& random, int* action) {
  const attune::Tensor input = session_->port(ProgramKind::predict, PortRole::input).tensor;
  if (input.bytes() != observation.size_bytes())
    return Status::error("the plan takes another observation");
  std::memcpy(input.data, observation.data(), input.bytes());
  ATTUNE_RETURN_IF_ERROR(session_->run(ProgramKind::predict));
  const float* p = session_->output(ProgramKind::predict, "probabilities").as<float>();
  double left = random(0, 1);
  for (*action = 0; *action + 1 < action_count(); ++*action)
    if ((left -= p[*action]) < 0) break;
  return Status::ok();
}

Status Policy::learn(Choices& choices, double learning_rate) {
  options_ = {
      .epochs = 1, .schedule = {.base = learning_rate}, .seed = static_cast<uint64_t>(steps_)};
  std::unique_ptr<attune::Trainer> trainer;
  ATTUNE_RETURN_IF_ERROR(attune::Trainer::create(*session_, choices, options_, &trainer));
  // Adam goes on counting where the data before these ended.
  ATTUNE_RETURN_IF_ERROR(trainer->resume({.earlier_steps = steps_}));
  while (!trainer->done()) ATTUNE_RETURN_IF_ERROR(trainer->step());
  progress_ = trainer->progress();
  steps_ += progress_.step;
  examples_ = choices.size();
  return Status::ok();
}

Status Policy::save(const char* path) const {
  return attune::save_checkpoint(
      path, *session_, {.options = options_, .progress = progress_, .dataset_size = examples_}, {},
      attune::Replace::any_checkpoint);
}
