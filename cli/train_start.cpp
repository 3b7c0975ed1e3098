#include "cli/train_start.h"

#include <filesystem>

#include "cli/output_file.h"

namespace attune::cli {

void check_replacement_is_asked_for(const TrainCommand& command, const Plan& plan) {
  const std::string path = command.checkpoint_path();
  throw_if_error(check_checkpoint_path(path.c_str(), plan, Replace::any_checkpoint));
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) return check_ending(path, "a checkpoint", ".atc");
  if (command.overwrite) return;
  if (same_file(path, command.resume)) return;
  const std::string name = shell_quoted(path);
  if (same_file(path, command.from)) {
    if (!command.checkpoint.empty()) return;
    throw_error(
        "{}: the run would end in the place of the one that it starts from; give --checkpoint {} "
        "to go on in place, or --checkpoint with another name to keep both",
        path, name);
  }
  CheckpointFacts facts;
  if (const Status status = examine_checkpoint(path.c_str(), plan, &facts); !status)
    throw_error("{}; give --overwrite to replace it, or another --checkpoint", status.message());
  const TrainProgress& progress = facts.info.progress;
  const std::string from =
      fmt::format("--from {} --checkpoint NEW.atc to start from what it has learned", name);
  const std::string last =
      fmt::format("--overwrite to begin anew (it stays as {}.old), or another --checkpoint", name);
  if (facts.fits && !is_finished(facts.info))
    throw_error(
        "{}: holds a run that stands at step {} of {}, and would be replaced; give --resume {} to "
        "continue it, {}, {}",
        path, progress.step, facts.info.options.schedule.total_steps, name, from, last);
  if (facts.fits)
    throw_error(
        "{}: holds a finished run of {} epochs, {} steps, and would be replaced; give {}, --resume "
        "{} with more --epochs to make it longer, {}",
        path, progress.epoch, progress.step, from, name, last);
  if (facts.same_model)
    throw_error(
        "{}: holds a run of this model with another scheme or optimizer, and would be replaced; "
        "give {}, {}",
        path, from, last);
  throw_error("{}: holds a run of another model, and would be replaced; give {}", path, last);
}

RunStart start_run(const TrainCommand& command, Session& session) {
  RunStart start;
  if (!command.resume.empty()) {
    throw_if_error(load_checkpoint(command.resume.c_str(), session, &start.info));
  } else if (!command.from.empty()) {
    WarmStart warm;
    throw_if_error(start_from_checkpoint(command.from.c_str(), session, &warm));
    start.info.progress.earlier_steps = warm.earlier_steps;
    start.note = fmt::format("starts from {}, with {} of its parameters and {}", command.from,
                             warm.fresh > 0 ? std::to_string(warm.parameters) : "all",
                             warm.optimizer_state ? "its optimizer's state"
                                                  : "a fresh optimizer: the plan trains with "
                                                    "another, or other parameters");
    if (warm.fresh > 0)
      start.note += fmt::format("; {} of another size start fresh, as compiled", warm.fresh);
  }
  return start;
}

}  // namespace attune::cli
