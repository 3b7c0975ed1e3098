#include <optional>

#include "attune/statistics.h"
#include "cli/checkpoint_lock.h"
#include "cli/class_weights.h"
#include "cli/interrupt.h"
#include "cli/output_file.h"
#include "cli/report/curves_picture.h"
#include "cli/subset.h"
#include "cli/table.h"
#include "cli/trace.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/train_start.h"
#include "cli/verbs.h"
#include "engine/batch.h"
#include "engine/io/file.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune train flowers.att --data photos/train --validation photos/test --epochs 5
  attune train flowers.att --data photos/train --validation-split 0.1 --learning-rate 0.05
      --schedule cosine --warmup 100 --log flowers.jsonl
  attune train flowers.att --data photos/train --validation-split 0.2 --epochs 50 --patience 5
  attune train flowers.att --data photos/train --class-weights balanced
  attune train flowers.att --data photos/train --resume flowers.atc
  attune train flowers.att --data photos/monday --from flowers.atc --checkpoint monday.atc
  attune train flowers.att --data photos/train --profile trace.json     to open in ui.perfetto.dev

The data: a folder of class folders with pictures or recordings, an IDX file, an .npz file with an array
for each of the model's inputs (`x`, where there is one) and `y`, or a .csv table of files and labels, or of numbers and labels. Ctrl-C
ends the step, saves the checkpoint and says how to resume (status 130). A run that is resumed keeps its options and continues bit for
bit; --epochs, --steps, --learning-rate, --schedule, --warmup, --keep and --patience may be given anew.

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

// One run: the loop around Trainer::step, and what happens between the steps.
class Run {
 public:
  Run(const TrainCommand& command, LoadedPlan& loaded, const Data& data, Trainer& trainer,
      Trace& trace, RunStart start)
      : command_(command),
        session_(*loaded.session),
        data_(data),
        trainer_(trainer),
        trace_(trace),
        classifies_(loaded.classes() > 0),
        path_(command.checkpoint_path()),
        backend_(loaded.backend),
        info_(start.info),
        best_state_(std::move(start.best_state)),
        memory_bytes_(session_.memory().total() + (info_.keep_best ? session_.state().size() : 0)),
        progress_(command.output.quiet, classifies_, memory_bytes_),
        log_(command.log, !command.resume.empty()) {
    info_.dataset_size = data.training->size();
    if (!command.resume.empty() && !command.curves.empty()) curves_ = read_curves(command.curves);
    std::erase_if(curves_, [&](const CurvePoint& c) { return c.epoch > trainer.progress().epoch; });
    if (info_.keep_best) best_state_.reserve(session_.state().size());
    log_.write(start_event(command, trainer, data));
  }

  int run() {
    catch_interrupts();
    measure_epoch_left_unmeasured();
    while (!is_over() && !interrupted()) step();
    if (is_over() && data_.validation && trainer_.progress().batch > 0) measure();
    // The last epoch's end may have saved this very state.
    if (saved_step_ != trainer_.progress().step) save();
    progress_.finish();
    data_.print_new_notes(command_.output.quiet);
    trace_.write();
    draw_curves();
    if (!is_over()) {
      log_.write(Json{{"event", "interrupted"}, {"step", trainer_.progress().step}});
      print_note(fmt::format("interrupted after step {}; saved to {}; to continue: {}",
                             trainer_.progress().step, path_, command_.resume_command()));
      return kInterrupted;
    }
    log_.write(result());
    report();
    return 0;
  }

  bool is_over() const { return is_finished(info()); }

 private:
  void step() {
    const auto start = Clock::now();
    trace_.begin_step();
    throw_if_error(trainer_.step());
    trace_.end_step(trainer_);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    progress_.add_step(seconds);
    log_.write(step_event(trainer_, 1e3 * seconds, classifies_));
    progress_.step(trainer_);
    if (!trainer_.epoch_ended()) return;
    epoch_ = trainer_.last_epoch();
    validation_.reset();
    // Measuring may take long; when the user wants to leave, it can wait.
    if (data_.validation && (trainer_.done() || !interrupted())) measure();
    save();
    curves_.push_back({trainer_.progress().epoch, epoch_, validation_});
    log_.write(epoch_event(trainer_, validation_, classifies_));
    progress_.epoch(trainer_, validation_);
  }

  // Whoever left at an epoch's end did not wait for its validation.
  void measure_epoch_left_unmeasured() {
    const TrainProgress& p = trainer_.progress();
    if (!data_.validation || p.batch > 0 || p.epoch <= info_.measured_epoch) return;
    measure();
    // The picture that is there has its training.
    if (!curves_.empty() && curves_.back().epoch == p.epoch)
      curves_.back().validation = validation_;
    else
      curves_.push_back({p.epoch, {}, validation_});
    log_.write(validation_event(trainer_, *validation_, classifies_));
  }

  // On the validation data, and whether this is the best so far.
  void measure() {
    validation_.emplace();
    trace_.record("evaluate", "validation",
                  [&] { throw_if_error(evaluate(session_, *data_.validation, &*validation_)); });
    const Evaluation& now = *validation_;
    const TrainProgress& p = trainer_.progress();
    if (p.batch == 0) info_.measured_epoch = p.epoch;
    BestEpoch& best = info_.best;
    if (best.measured && !(now.loss < best.loss)) return;
    best = {p.batch > 0 ? p.epoch + 1 : p.epoch, p.step, now.loss, now.accuracy, true};
    info_.kept = p;
    if (info_.keep_best) best_state_.assign(session_.state().begin(), session_.state().end());
  }

  CheckpointInfo info() const {
    CheckpointInfo info = info_;
    info.options = trainer_.options();
    info.progress = trainer_.progress();
    return info;
  }

  void save() {
    trace_.record("checkpoint", "save checkpoint", [&] {
      // What was there before this run stays as .old; what this run has saved does not.
      throw_if_error(save_checkpoint(path_.c_str(), session_, info(), best_state_,
                                     saved_step_ < 0 ? command_.replace() : Replace::same_plan));
    });
    saved_step_ = trainer_.progress().step;
  }

  void draw_curves() const {
    if (command_.curves.empty() || curves_.empty()) return;
    write_text(command_.curves,
               curves_picture(curves_, classifies_, info_.keep_best ? info_.best.epoch : 0,
                              fmt::format("{} on {}", command_.plan, command_.data)));
  }

  Json result() const {
    Json json;
    json["event"] = "end";
    json["plan"] = command_.plan;
    json["checkpoint"] = path_;
    json["epochs"] = trainer_.progress().epoch;
    json["steps"] = trainer_.progress().step;
    json["examples"] = data_.training->size();
    json["last_loss"] = trainer_.progress().last_loss;
    if (epoch_) add_evaluation(json, "", *epoch_, classifies_);
    if (validation_) add_evaluation(json, "validation_", *validation_, classifies_);
    if (info_.best.epoch > 0) {
      json["kept"] = info_.keep_best ? "best" : "last";
      json["best_epoch"] = info_.best.epoch;
      json["best_step"] = info_.best.step;
      add_evaluation(json, "best_validation_", best_evaluation(), classifies_);
    }
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
    const auto measured = [&](const Evaluation& e) {
      return classifies_ ? fmt::format("{:.4f}, accuracy {:.2f} %", e.loss, 100 * e.accuracy)
                         : fmt::format("{:.6g}", e.loss);
    };
    const TrainProgress& p = trainer_.progress();
    Table table({"", ""});
    std::string trained = fmt::format("{} epochs, {} steps of {} examples", p.epoch, p.step,
                                      session_.batch(ProgramKind::train_step));
    if (!trainer_.done())
      trained += fmt::format("; {} epochs without a better one", info_.patience);
    table.row({"trained", trained});
    if (epoch_) table.row({"loss", measured(*epoch_)});
    if (validation_) table.row({"validation loss", measured(*validation_)});
    if (info_.keep_best && info_.best.epoch > 0)
      table.row({"kept", fmt::format("epoch {}, the best: validation loss {}", info_.best.epoch,
                                     measured(best_evaluation()))});
    table.row({"step", fmt::format("{:.2f} ms", progress_.step_ms())});
    table.row({"memory", bytes_text(memory_bytes_)});
    if (!backend_.empty()) table.row({"backend", backend_});
    if (!command_.curves.empty()) table.row({"curves", command_.curves});
    table.row({"checkpoint", path_});
    fmt::print("{}", table.text());
  }

  Evaluation best_evaluation() const {
    return {.loss = info_.best.loss, .accuracy = info_.best.accuracy};
  }

  const TrainCommand& command_;
  Session& session_;
  const Data& data_;
  Trainer& trainer_;
  Trace& trace_;
  bool classifies_;
  std::string path_, backend_;
  CheckpointInfo info_;  // but for what the trainer knows
  std::vector<std::byte> best_state_;
  std::vector<CurvePoint> curves_;
  size_t memory_bytes_;
  int64_t saved_step_ = -1;
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
    check_replaceable(command.curves, "a picture of curves", is_curves_file);

  const Data data = open_all(command, *loaded, options.seed);
  if (resumes && start.info.dataset_size != data.training->size())
    throw_error(
        "{}: the run trains on {} examples, and {} gives {}; resume with the same data and "
        "--validation-split, or learn from other data with --from",
        command.resume, start.info.dataset_size, command.data, data.training->size());
  // What validation cannot use shows now, and not after the first epoch.
  Batch validation;
  if (data.validation)
    throw_if_error(
        Batch::bind(*loaded->session, ProgramKind::evaluate, *data.validation, &validation));
  Trace trace(command.profile, *loaded->session, *data.training);
  std::unique_ptr<Trainer> trainer;
  throw_if_error(Trainer::create(*loaded->session, trace, options, &trainer));
  throw_if_error(trainer->resume(start.info.progress));
  // What a run goes on from has its statistics.
  if (!resumes && command.from.empty() && loaded->session->has(ProgramKind::estimate))
    throw_if_error(estimate_statistics(*loaded->session, *data.training, options.seed));
  const std::string note = start.note;
  Run run(command, *loaded, data, *trainer, trace, std::move(start));
  // After all that may be refused: an error is one line.
  if (command.output.quiet) return run.run();
  if (resumes && run.is_over())
    print_note(
        fmt::format("{}: the run is already done after {} steps; give more --epochs, --steps or "
                    "--patience to go on",
                    command.resume, trainer->progress().step));
  if (!note.empty()) print_note(note);
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
