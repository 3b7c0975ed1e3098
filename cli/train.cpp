#include <algorithm>
#include <cmath>
#include <optional>

#include "attune/run.h"
#include "cli/checkpoint_lock.h"
#include "cli/class_weights.h"
#include "cli/interrupt.h"
#include "cli/output_file.h"
#include "cli/report/curves_picture.h"
#include "cli/subset.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/trace.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/train_start.h"
#include "cli/verbs.h"
#include "engine/io/file.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune train flowers.att --data photos/train --validation photos/test --epochs 5
  attune train flowers.att --data photos/train --validation-split 0.1 --learning-rate 0.05
      --schedule cosine --warmup 100 --log flowers.jsonl
  attune train flowers.att --data photos/train --validation-split 0.2 --epochs 50 --patience 5
  attune train flowers.att --data photos/train --checkpoint-steps 500
  attune train flowers.att --data photos/train --class-weights balanced
  attune train flowers.att --data photos/train --resume flowers.atc
  attune train flowers.att --data photos/monday --from flowers.atc --checkpoint monday.atc
  attune train flowers.att --data photos/train --profile trace.json     to open in ui.perfetto.dev

The data: a folder of class folders with pictures or recordings, an IDX file, an .npz file with an array
for each of the model's inputs (`x`, where there is one) and `y`, or a .csv table of files and labels, or of numbers and labels. Ctrl-C
ends the step, saves the checkpoint and says how to resume (status 130). A run that is resumed keeps its options and continues bit for
bit; --epochs, --steps, --learning-rate, --schedule, --warmup, --keep and --patience may be given anew.

With validation data the model is measured before training, and never replaced by a worse one: the least validation
loss is kept, that of epoch 0 (before training) included. A loss or parameters that are not finite are gone back from, with half
the learning rate, up to ten times; then the run ends with an error, and what was good before is kept.

A checkpoint is never replaced unasked: --resume continues its run, --from starts another from what it
has learned, --overwrite throws it away.)";

using Clock = std::chrono::steady_clock;

// Training data and, where asked for, validation data, of one source or two.
struct Data {
  std::unique_ptr<Dataset> source, other, training_part, validation_part;
  std::unique_ptr<ClassWeighted> weighted;
  Dataset* training = nullptr;
  Dataset* validation = nullptr;
  size_t source_notes = 0, other_notes = 0;  // printed so far

  void print_new_notes(bool quiet) const {
    print_notes(*source, quiet, source_notes);
    if (other) print_notes(*other, quiet, other_notes);
  }
};

Data open_all(const TrainCommand& command, const LoadedPlan& loaded, uint64_t seed) {
  Data data;
  data.source = open_data(loaded, ProgramKind::train_step, command.data, command.reading);
  data.source_notes = print_notes(*data.source, command.output.quiet);
  data.training = data.source.get();
  if (!command.validation.empty()) {
    data.other = open_data(loaded, ProgramKind::evaluate, command.validation, command.reading);
    data.other_notes = print_notes(*data.other, command.output.quiet);
    data.validation = data.other.get();
  } else if (command.validation_split > 0) {
    Split split = split_examples(data.source->size(), classes_of(*data.source, *loaded.session),
                                 command.validation_split, seed);
    data.training_part = std::make_unique<Subset>(*data.source, std::move(split.training));
    data.validation_part = std::make_unique<Subset>(*data.source, std::move(split.validation));
    data.training = data.training_part.get();
    data.validation = data.validation_part.get();
  }
  if (!command.class_weights.empty()) {
    data.weighted = weigh_classes(command.class_weights, loaded, *data.training);
    data.training = data.weighted.get();
  }
  return data;
}

// The classes that no example is of: a model trained without them forgets them.
std::vector<std::string> absent_classes(const LoadedPlan& loaded, Dataset& data) {
  std::vector<char> is_there(static_cast<size_t>(loaded.classes()));
  const Tensor port = loaded.session->port(ProgramKind::train_step, PortRole::label).tensor;
  if (!port) return {};  // its targets are probabilities
  std::vector<int32_t> labels(static_cast<size_t>(port.shape.elements() / port.shape[0]));
  for (int64_t i = 0; i < data.size(); ++i) {
    throw_if_error(data.read(i, kTargetField, std::as_writable_bytes(std::span(labels))));
    for (int32_t label : labels)
      if (label != kIgnoredLabel) is_there.at(static_cast<size_t>(label)) = true;
  }
  std::vector<std::string> absent;
  for (size_t i = 0; i < is_there.size(); ++i)
    if (!is_there[i]) absent.push_back(loaded.class_name(static_cast<int32_t>(i)));
  return absent;
}

void note_absent_classes(const std::string& path, const LoadedPlan& loaded, Dataset& data) {
  const std::vector<std::string> absent = absent_classes(loaded, data);
  if (absent.empty()) return;
  print_note(
      fmt::format("{}: no example to train on is of {} of the model's {} classes, which it may "
                  "forget: {}",
                  path, absent.size(), loaded.classes(), name_list(absent)));
}

void note_shared_examples(const Data& data, const Session& session) {
  const int64_t shared = count_shared(*data.training, *data.validation, session);
  if (shared == 0) return;
  print_note(
      fmt::format("{} of {} validation examples stand in the training data, too: validation says "
                  "little about new data",
                  shared, data.validation->size()));
}

Json start_event(const TrainCommand& command, const Trainer& trainer, const Data& data) {
  const TrainOptions& options = trainer.options();
  Json json;
  json["event"] = command.resume.empty() ? "start" : "resume";
  json["plan"] = command.plan;
  json["data"] = command.data;
  if (!command.from.empty()) json["from"] = command.from;
  json["examples"] = data.training->size();
  if (data.validation) json["validation_examples"] = data.validation->size();
  if (data.weighted) json["class_weights"] = data.weighted->weights();
  json["step"] = trainer.progress().step;
  json["steps_per_epoch"] = trainer.steps_per_epoch();
  json["total_steps"] = trainer.total_steps();
  json["learning_rate"] = options.schedule.base;
  json["schedule"] = schedule_text(options.schedule);
  json["warmup"] = options.schedule.warmup_steps;
  json["seed"] = options.seed;
  json["shuffle"] = options.shuffle;
  return json;
}

// One run: the loop around TrainingRun::step, and what happens between the steps.
class Run {
 public:
  Run(const TrainCommand& command, LoadedPlan& loaded, const Data& data, TrainingRun& training,
      Trace& trace)
      : command_(command),
        session_(*loaded.session),
        data_(data),
        run_(training),
        trainer_(training.trainer()),
        trace_(trace),
        classifies_(loaded.classes() > 0),
        path_(command.checkpoint_path()),
        backend_(loaded.backend),
        memory_bytes_(session_.memory().total() + training.kept_state().size()),
        first_step_(trainer_.progress().step),
        progress_(command.output.quiet, classifies_, memory_bytes_),
        log_(command.log, !command.resume.empty(), command.output.quiet) {
    if (!command.resume.empty() && !command.curves.empty()) curves_ = read_curves(command.curves);
    std::erase_if(curves_, [&](const CurvePoint& c) { return c.epoch > position().epoch; });
    log_.write(start_event(command, trainer_, data));
  }

  int run() {
    catch_interrupts();
    start();
    while (!is_over() && !interrupted()) step();
    if (is_over()) measure();
    // The last epoch's end may have saved this very state.
    if (saved_step_ != position().step) save();
    progress_.finish();
    data_.print_new_notes(command_.output.quiet);
    write_pictures();
    if (!is_over()) {
      log_.write(Json{{"event", "interrupted"}, {"step", position().step}});
      print_note(fmt::format("interrupted after step {}; saved to {}; to continue: {}",
                             position().step, path_, command_.resume_command()));
      return kInterrupted;
    }
    log_.write(result());
    if (run_.kept_baseline() && !command_.output.quiet)
      print_note(fmt::format(
          "training made the model worse on the validation data: epoch 0 is kept, and the model is "
          "as it was before; {} --learning-rate or another --scheme may help",
          run_.info().rollbacks > 0 ? "a much lower" : "look at the data; a lower"));
    report();
    return 0;
  }

  bool is_over() const { return run_.done(); }

 private:
  const TrainProgress& position() const { return trainer_.progress(); }

  // Measures what the run starts from. Whoever left at an epoch's end did not wait for its
  // validation.
  void start() {
    const bool due = run_.measure_is_due();
    trace_.record("evaluate", "validation", [&] { throw_if_error(run_.start()); });
    if (!due) return;
    if (const Evaluation* before = run_.baseline()) {
      log_.write(baseline_event(trainer_, *before, classifies_));
      progress_.baseline(*before);
      // With the statistics that were estimated since.
      if (session_.has(ProgramKind::estimate) && command_.from.empty() && command_.resume.empty())
        log_.write(validation_event(trainer_, *run_.held_out(), classifies_));
      return;
    }
    validation_ = *run_.held_out();
    const int64_t epoch = position().epoch;
    // The picture that is there has its training.
    if (!curves_.empty() && curves_.back().epoch == epoch)
      curves_.back().validation = drawn_validation();
    else
      curves_.push_back({epoch, {}, drawn_validation()});
    log_.write(validation_event(trainer_, *validation_, classifies_));
  }

  void step() {
    const auto start = Clock::now();
    trace_.begin_step();
    const Status status = run_.step();
    if (!status) give_up(status);
    trace_.end_step(trainer_);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    progress_.add_step(seconds);
    if (note_rollback()) return;
    log_.write(step_event(trainer_, 1e3 * seconds, classifies_));
    progress_.step(trainer_);
    if (!run_.epoch_ended()) {
      const int64_t every = command_.checkpoint_steps;
      if (every > 0 && position().step % every == 0) save();
      return;
    }
    epoch_ = trainer_.last_epoch();
    validation_.reset();
    // Measuring may take long; when the user wants to leave, it can wait.
    if (trainer_.done() || !interrupted()) measure();
    save();
    curves_.push_back({position().epoch, epoch_, drawn_validation()});
    log_.write(epoch_event(trainer_, validation_, classifies_));
    progress_.epoch(trainer_, validation_);
  }

  bool note_rollback() {
    const Rollback* const back = run_.rollback();
    if (!back) return false;
    std::erase_if(curves_, [&](const CurvePoint& c) { return c.epoch > position().epoch; });
    log_.write(rollback_event(*back));
    progress_.finish();
    if (!command_.output.quiet)
      print_note(fmt::format(
          "step {}: {} not finite; back to step {}, with half the learning rate, {:.4g} (time {})",
          back->failed_step, back->parameters ? "parameters are" : "the loss is", back->step,
          back->rate, back->count));
    return true;
  }

  // Saves the steps that are good, and throws.
  [[noreturn]] void give_up(const Status& status) {
    progress_.finish();
    log_.write(Json{{"event", "failed"}, {"step", position().step}, {"error", status.message()}});
    if (position().step <= std::max(first_step_, saved_step_)) throw_error("{}", status.message());
    save();
    throw_error("{}; {} holds what was trained up to step {}", status.message(), path_,
                position().step);
  }

  // On the validation data, where that is due, and whether this is the best so far.
  void measure() {
    if (!run_.measure_is_due()) return;
    trace_.record("evaluate", "validation", [&] { throw_if_error(run_.measure()); });
    validation_ = *run_.held_out();
  }

  // What a curve can show.
  std::optional<Evaluation> drawn_validation() const {
    return validation_ && std::isfinite(validation_->loss) ? validation_ : std::nullopt;
  }

  void save() {
    trace_.record("checkpoint", "save checkpoint",
                  [&] { throw_if_error(run_.save(path_.c_str(), command_.replace())); });
    saved_step_ = position().step;
    note_rollback();  // saving looks at the parameters
  }

  // The run is saved: what cannot be written beside it is told, and no more.
  void write_pictures() const {
    try {
      trace_.write();
    } catch (const Error& error) {
      print_note(error.what());
    }
    if (command_.curves.empty() || curves_.empty()) return;
    const CheckpointInfo info = run_.info();
    try {
      write_text(command_.curves,
                 curves_picture(curves_, classifies_, info.keep_best ? info.best.epoch : 0,
                                fmt::format("{} on {}", command_.plan, command_.data)));
    } catch (const Error& error) {
      print_note(error.what());
    }
  }

  Json result() const {
    const CheckpointInfo info = run_.info();
    Json json;
    json["event"] = "end";
    json["plan"] = command_.plan;
    json["checkpoint"] = path_;
    json["epochs"] = position().epoch;
    json["steps"] = position().step;
    json["examples"] = data_.training->size();
    json["last_loss"] = position().last_loss;
    if (epoch_) add_evaluation(json, "", *epoch_, classifies_);
    if (validation_) add_evaluation(json, "validation_", *validation_, classifies_);
    if (const Evaluation* before = run_.baseline())
      add_evaluation(json, "baseline_validation_", *before, classifies_);
    if (info.best.measured) {
      json["kept"] = info.keep_best ? "best" : "last";
      json["best_epoch"] = info.best.epoch;
      json["best_step"] = info.best.step;
      add_evaluation(json, "best_validation_", best_evaluation(), classifies_);
    }
    json["rollbacks"] = info.rollbacks;
    json["step_ms"] = progress_.step_ms();
    json["memory_bytes"] = memory_bytes_;
    return json;
  }

  void report() const {
    if (command_.output.json) {
      Json json = result();
      json.erase("event");
      print_json(json);
      return;
    }
    const CheckpointInfo info = run_.info();
    const auto measured = [&](const Evaluation& e) {
      return classifies_ ? fmt::format("{:.4f}, accuracy {:.2f} %", e.loss, 100 * e.accuracy)
                         : fmt::format("{:.6g}", e.loss);
    };
    const TrainProgress& p = position();
    Table table({"", ""});
    std::string trained = fmt::format("{} epochs, {} steps of {} examples", p.epoch, p.step,
                                      session_.batch(ProgramKind::train_step));
    if (!trainer_.done()) trained += fmt::format("; {} epochs without a better one", info.patience);
    table.row({"trained", trained});
    if (info.rollbacks > 0)
      table.row({"went back", fmt::format("{} times from numbers that were not finite, and on with "
                                          "half the learning rate: {:.4g} in the end",
                                          info.rollbacks, info.options.schedule.base)});
    if (epoch_) table.row({"loss", measured(*epoch_)});
    if (validation_) table.row({"validation loss", measured(*validation_)});
    if (run_.kept_baseline())
      table.row(
          {"kept", "epoch 0: training made it worse; the model is as it was, validation loss " +
                       measured(best_evaluation())});
    else if (info.keep_best && info.best.measured && info.best.epoch == 0)
      table.row({"kept", "epoch 0, before training, which made it worse: validation loss " +
                             measured(best_evaluation())});
    else if (info.keep_best && info.best.measured)
      table.row({"kept", fmt::format("epoch {}, the best: validation loss {}", info.best.epoch,
                                     measured(best_evaluation()))});
    table.row({"step", fmt::format("{:.2f} ms", progress_.step_ms())});
    table.row({"memory", bytes_text(memory_bytes_)});
    if (!backend_.empty()) table.row({"backend", backend_});
    if (!command_.curves.empty()) table.row({"curves", command_.curves});
    table.row({"checkpoint", path_});
    print("{}", table.text());
  }

  Evaluation best_evaluation() const {
    const BestEpoch best = run_.info().best;
    return {.loss = best.loss, .accuracy = best.accuracy};
  }

  const TrainCommand& command_;
  Session& session_;
  const Data& data_;
  TrainingRun& run_;
  const Trainer& trainer_;
  Trace& trace_;
  bool classifies_;
  std::string path_, backend_;
  std::vector<CurvePoint> curves_;
  size_t memory_bytes_;
  int64_t first_step_, saved_step_ = -1;
  std::optional<Evaluation> epoch_, validation_;
  TrainProgressLine progress_;
  TrainLog log_;
};

int train(const TrainCommand& command) {
  const auto loaded =
      load_plan(command.plan, command.session,
                program_bit(ProgramKind::train_step) | program_bit(ProgramKind::estimate) |
                    (command.validates() ? program_bit(ProgramKind::evaluate) : 0));
  const std::string path = command.checkpoint_path();
  const CheckpointLock lock(path);
  check_replacement_is_asked_for(command, loaded->plan);
  RunStart start = start_run(command, *loaded->session);
  const bool resumes = !command.resume.empty();
  const TrainOptions options = command.options(resumes ? &start.info : nullptr);
  command.choose_epochs(&start.info);

  check_files_differ({{"--checkpoint", path},
                      {"--log", command.log},
                      {"--profile", command.profile},
                      {"--curves", command.curves}});
  if (!command.curves.empty())
    check_replaceable(command.curves, "a picture of curves", ".svg", is_curves_file);

  const Data data = open_all(command, *loaded, options.seed);
  if (resumes && start.info.dataset_size != data.training->size())
    throw_error(
        "{}: the run trains on {} examples, and {} gives {}; resume with the same data and "
        "--validation-split, or learn from other data with --from",
        command.resume, start.info.dataset_size, command.data, data.training->size());
  Trace trace(command.profile, *loaded->session, *data.training);
  std::unique_ptr<TrainingRun> training;
  // What a run goes on from has its statistics.
  const RunOptions run_options{.train = options,
                               .keep_best = start.info.keep_best,
                               .patience = start.info.patience,
                               .estimate_statistics = command.from.empty()};
  throw_if_error(
      TrainingRun::create(*loaded->session, trace, data.validation, run_options, &training));
  throw_if_error(resumes ? training->resume(command.resume.c_str())
                         : training->continue_from(start.info.progress.earlier_steps));
  Run run(command, *loaded, data, *training, trace);
  // After all that may be refused: an error is one line.
  if (command.output.quiet) return run.run();
  if (resumes && run.is_over())
    print_note(
        fmt::format("{}: the run is already done after {} steps; give more --epochs, --steps or "
                    "--patience to go on",
                    command.resume, training->trainer().progress().step));
  if (!start.note.empty()) print_note(start.note);
  if (!resumes && !data.validation)
    print_note(
        "nothing is held out, so that nothing tells whether training makes the model worse; give "
        "--validation or --validation-split");
  if (!resumes && loaded->classes() > 0) note_absent_classes(command.data, *loaded, *data.training);
  if (!resumes && data.validation) note_shared_examples(data, *loaded->session);
  return run.run();
}

}  // namespace

Verb add_train(CLI::App& app) {
  auto command = std::make_shared<TrainCommand>();
  CLI::App* verb = add_verb(app, "train", "Fine-tune on labelled data", kExamples);
  command->add(verb);
  return {verb, [command] { return train(*command); }};
}

}  // namespace attune::cli
