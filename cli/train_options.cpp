#include "cli/train_options.h"

#include <cmath>
#include <filesystem>
#include <limits>

namespace attune::cli {

std::string shell_quoted(const std::string& text) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string result = "'";
  for (char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

void TrainCommand::add(CLI::App* verb) {
  verb_ = verb;
  verb->add_option("plan", plan, "The plan (.att)")->required();
  verb->add_option("--data", data, "Labelled data")->required();
  auto* other =
      verb->add_option("--validation", validation, "Labelled data to measure on after every epoch");
  verb->add_option(
          "--validation-split", validation_split,
          "Set this fraction of the data aside for validation; which examples follows from "
          "the seed (default: none)")
      ->excludes(other)
      ->default_str("");
  verb->add_option("--class-weights", class_weights,
                   "What the examples of each class count in training: balanced (all classes the "
                   "same, however many examples they have), a number for each as a,b,c, or a file "
                   "with one a line; validation counts them as they are (default: all 1)")
      ->default_str("");
  auto* epochs_option = verb->add_option("--epochs", epochs, "Passes over the data");
  verb->add_option("--steps", steps,
                   "Stop after so many steps in all, whatever the epochs (default: not)")
      ->excludes(epochs_option)
      ->default_str("");
  verb->add_option("--learning-rate", learning_rate, "The learning rate, after warm-up");
  verb->add_option("--schedule", schedule,
                   "constant, cosine (to zero at the end), or step:EVERY[:FACTOR] (times FACTOR, "
                   "0.1 unless given, every EVERY steps)");
  verb->add_option("--warmup", warmup, "Steps in which the rate rises linearly to --learning-rate");
  verb->add_flag("--no-shuffle", no_shuffle, "Take the examples in the data's order");
  verb->add_option("--seed", seed, "Decides every epoch's order, and the validation split")
      ->check(is_seed());
  verb->add_option("--checkpoint", checkpoint,
                   "Where to save what is trained, after every epoch and at the end "
                   "(default: the run that --resume continues, else PLAN.atc, beside the plan)");
  verb->add_option("--checkpoint-steps", checkpoint_steps,
                   "Save after every so many steps, too (default: at epochs' ends)")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()))
      ->default_str("");
  auto* resume_option =
      verb->add_option("--resume", resume, "Continue the run that wrote this checkpoint");
  verb->add_option("--from", from,
                   "Start a new run from what this checkpoint has learned: its parameters, and its "
                   "optimizer's state where the plan has the same")
      ->excludes(resume_option);
  verb->add_flag(
      "--overwrite", overwrite,
      "Replace the run that the checkpoint's name holds, which stays as NAME.old (default: "
      "refuse)");
  verb->add_option(
          "--keep", keep,
          "best: evaluate, predict and export take the epoch of the least validation loss, or the "
          "model as it was where none is better; last: the last one. Without validation data, the "
          "last")
      ->check(CLI::IsMember({"best", "last"}));
  verb->add_option("--patience", patience,
                   "Stop after so many epochs without a lower validation loss (default: never)")
      ->check(CLI::Range(1, 1000000))
      ->default_str("");
  verb->add_option("--log", log, "Write every step and epoch to this file, as JSON lines");
  verb->add_option("--curves", curves,
                   "Draw loss and accuracy over the epochs to this file (.svg); a resumed run goes "
                   "on with the picture that is there");
  verb->add_option("--profile", profile,
                   "Write a trace of the run's first 50 steps to this file when it ends, for "
                   "ui.perfetto.dev or chrome://tracing: every step of the plan, reading data, "
                   "validation and checkpoints");
  reading.add(verb);
  session.add(verb);
  output.add(verb);
}

void parse_schedule(const std::string& text, Schedule* schedule) {
  if (text == "constant") {
    schedule->kind = ScheduleKind::constant;
  } else if (text == "cosine") {
    schedule->kind = ScheduleKind::cosine;
  } else if (text.starts_with("step:")) {
    const std::string_view rest = std::string_view(text).substr(5);
    const size_t colon = rest.find(':');
    schedule->kind = ScheduleKind::step;
    schedule->gamma = 0.1;
    if (!parse_number(rest.substr(0, colon), &schedule->every) || schedule->every < 1 ||
        (colon != std::string_view::npos &&
         (!parse_number(rest.substr(colon + 1), &schedule->gamma) ||
          !std::isfinite(schedule->gamma) || schedule->gamma < 0)))
      throw_error("--schedule {}: give step:EVERY[:FACTOR], e.g. step:1000:0.5", text);
  } else {
    throw_error("--schedule {}: give constant, cosine or step:EVERY[:FACTOR]", text);
  }
}

std::string schedule_text(const Schedule& schedule) {
  switch (schedule.kind) {
    case ScheduleKind::constant:
      break;
    case ScheduleKind::cosine:
      return "cosine";
    case ScheduleKind::step:
      return fmt::format("step:{}:{}", schedule.every, schedule.gamma);
  }
  return "constant";
}

TrainOptions TrainCommand::options(const CheckpointInfo* resumed) const {
  if (given("--validation-split") && !(validation_split > 0 && validation_split < 1))
    throw_error("--validation-split {}: give a fraction between 0 and 1", validation_split);
  if (given("--steps") && steps < 1) throw_error("--steps {}: give at least 1", steps);
  if (given("--epochs") && epochs < 1) throw_error("--epochs {}: give at least 1", epochs);
  TrainOptions result;
  if (resumed) result = resumed->options;
  // On the command line, or not in a checkpoint either.
  const auto chosen = [&](const char* option) { return !resumed || given(option); };
  if (resumed && given("--seed") && seed != result.seed)
    throw_error(
        "--seed {}: the run to resume has seed {}, and another would change the order of its "
        "examples; leave the option out",
        seed, result.seed);
  if (resumed && no_shuffle && result.shuffle)
    throw_error("--no-shuffle: the run to resume shuffles; leave the option out");
  if (!resumed) {
    result.seed = seed;
    result.shuffle = !no_shuffle;
  }
  if (chosen("--steps") && steps > 0) {
    result.steps = steps;
  } else if (chosen("--epochs")) {
    result.epochs = epochs;
    result.steps = 0;
  }
  if (chosen("--learning-rate")) result.schedule.base = learning_rate;
  if (chosen("--warmup")) result.schedule.warmup_steps = warmup;
  if (chosen("--schedule")) parse_schedule(schedule, &result.schedule);
  return result;
}

void TrainCommand::choose_epochs(CheckpointInfo* info) const {
  const bool resumes = !resume.empty(), kept_best = info->keep_best;
  if (given("--keep"))
    info->keep_best = keep == "best";
  else if (!resumes)
    info->keep_best = validates();
  if (given("--patience")) info->patience = patience;
  // Its parameters are gone.
  if (info->keep_best && !kept_best) info->best = {};
  if (validates() || (!info->keep_best && info->patience == 0)) return;
  if (info->keep_best)
    throw_error("{}: {} by validation; give --validation or --validation-split{}",
                resumes ? resume : "--keep best",
                resumes ? "the run keeps the best epoch" : "judges",
                resumes ? " as before, or --keep last" : "");
  throw_error(
      "--patience {}: waits for a better epoch, which --validation or --validation-split "
      "must judge; give one of them",
      info->patience);
}

std::string TrainCommand::checkpoint_path() const {
  if (!checkpoint.empty()) return checkpoint;
  if (!resume.empty()) return resume;
  return std::filesystem::path(plan).replace_extension(".atc").string();
}

Replace TrainCommand::replace() const {
  return overwrite || !from.empty() ? Replace::any_checkpoint : Replace::same_plan;
}

std::string TrainCommand::resume_command() const {
  std::string command =
      fmt::format("attune train {} --data {}", shell_quoted(plan), shell_quoted(data));
  if (!validation.empty()) command += " --validation " + shell_quoted(validation);
  if (validation_split > 0) command += fmt::format(" --validation-split {}", validation_split);
  if (!class_weights.empty()) command += " --class-weights " + shell_quoted(class_weights);
  for (const std::string& argument : reading.arguments()) command += " " + shell_quoted(argument);
  if (session.backend != "best") command += " --backend " + session.backend;
  if (!checkpoint.empty()) command += " --checkpoint " + shell_quoted(checkpoint);
  if (checkpoint_steps > 0) command += fmt::format(" --checkpoint-steps {}", checkpoint_steps);
  if (!log.empty()) command += " --log " + shell_quoted(log);
  if (!curves.empty()) command += " --curves " + shell_quoted(curves);
  return command + " --resume " + shell_quoted(checkpoint_path());
}

}  // namespace attune::cli
