#include "attune/run.h"
#include "cli/train_options.h"
#include "native.h"

namespace attune::python {
namespace {

// What one call of the trainer did.
struct StepFacts {
  int64_t number = 0, epoch = 0;
  double loss = 0, learning_rate = 0;
  bool epoch_ended = false;
  std::optional<Rollback> rollback;
};

// A run that Python holds, with what it works on.
class TrainerObject {
 public:
  TrainerObject(std::shared_ptr<SessionObject> session, std::shared_ptr<Dataset> data,
                std::shared_ptr<Dataset> held_out, int64_t epochs, int64_t steps,
                double learning_rate, const std::string& schedule, int64_t warmup, uint64_t seed,
                bool shuffle, bool keep_best, int64_t patience)
      : session_(std::move(session)), data_(std::move(data)) {
    if (held_out) held_out_.emplace(std::move(held_out));
    options_.train = {
        .epochs = epochs, .steps = steps, .schedule = {}, .seed = seed, .shuffle = shuffle};
    options_.train.schedule.base = learning_rate;
    options_.train.schedule.warmup_steps = warmup;
    cli::parse_schedule(schedule, &options_.train.schedule);
    options_.keep_best = keep_best;
    options_.patience = patience;
    create();
  }

  // Instead of a new run: goes on with the one that a checkpoint holds.
  void resume(const std::string& path, std::optional<int64_t> epochs,
              std::optional<int64_t> steps) {
    CheckpointFacts facts;
    attune::throw_if_error(examine_checkpoint(path.c_str(), session_->session().plan(), &facts));
    options_.train = facts.info.options;
    options_.keep_best = facts.info.keep_best;
    options_.patience = facts.info.patience;
    if (epochs) options_.train.epochs = *epochs, options_.train.steps = 0;
    if (steps) options_.train.steps = *steps;
    create();
    watch([&] { return run_->resume(path.c_str()); });
  }

  void start() {
    watch([&] { return run_->start(); });
  }

  StepFacts step() {
    watch([&] { return run_->step(); });
    const TrainProgress& progress = run_->trainer().progress();
    StepFacts facts{progress.step,      progress.epoch,      progress.last_loss,
                    progress.last_rate, run_->epoch_ended(), {}};
    if (const Rollback* rollback = run_->rollback()) facts.rollback = *rollback;
    return facts;
  }

  void measure() {
    watch([&] { return run_->measure(); });
  }

  void finish() {
    watch([&] { return run_->finish(); });
  }

  void save(const std::string& path, bool replace) {
    watch([&] {
      return run_->save(path.c_str(), replace ? Replace::any_checkpoint : Replace::same_plan);
    });
  }

  // Before anything is trained that could then not be saved.
  void check_checkpoint(const std::string& path) const {
    attune::throw_if_error(run_->check_can_save(path.c_str()));
  }

  const TrainingRun& run() const { return *run_; }

 private:
  void create() {
    watch([&] {
      return TrainingRun::create(session_->session(), data_, held_out_ ? &*held_out_ : nullptr,
                                 options_, &run_);
    });
  }

  // Does what may take long, and throws what Python raised meanwhile.
  template <class F>
  void watch(const F& f) {
    const SessionObject::Use use(*session_);
    const py::gil_scoped_release released;
    const Status status = f();
    if (held_out_) held_out_->throw_if_error(Status::ok());
    data_.throw_if_error(status);
  }

  std::shared_ptr<SessionObject> session_;
  WatchedDataset data_;
  std::optional<WatchedDataset> held_out_;
  RunOptions options_;
  std::unique_ptr<TrainingRun> run_;
};

// (loss, accuracy); None: nothing was measured.
py::object measured(const Evaluation* evaluation) {
  if (!evaluation) return py::none();
  return py::make_tuple(evaluation->loss, evaluation->accuracy);
}

}  // namespace

void add_trainer(py::module_& module) {
  py::class_<Rollback>(module, "Rollback", "That a run went back to a state that is finite.")
      .def_readonly("failed_step", &Rollback::failed_step, "The step that was not finite.")
      .def_readonly("step", &Rollback::step, "Steps done where the run stands again.")
      .def_readonly("count", &Rollback::count, "How often this run went back.")
      .def_readonly("learning_rate", &Rollback::rate, "The rate from now on.");
  py::class_<StepFacts>(module, "Step", "What a step of training did.")
      .def_readonly("number", &StepFacts::number, "Optimizer steps done.")
      .def_readonly("epoch", &StepFacts::epoch, "Epochs done.")
      .def_readonly("loss", &StepFacts::loss, "The mean over the batch.")
      .def_readonly("learning_rate", &StepFacts::learning_rate, "What this step was made with.")
      .def_readonly("epoch_ended", &StepFacts::epoch_ended, "Whether it ended an epoch.")
      .def_readonly("rollback", &StepFacts::rollback,
                    "Where the run went back instead, as the loss or the parameters were not "
                    "finite; else None.")
      .def("__repr__", [](const StepFacts& s) {
        return fmt::format("Step(number={}, epoch={}, loss={:.6g}, learning_rate={:.6g})", s.number,
                           s.epoch, s.loss, s.learning_rate);
      });
  py::class_<TrainerObject>(module, "Trainer", "A run of training that does no harm.")
      .def(py::init<std::shared_ptr<SessionObject>, std::shared_ptr<Dataset>,
                    std::shared_ptr<Dataset>, int64_t, int64_t, double, const std::string&, int64_t,
                    uint64_t, bool, bool, int64_t>(),
           py::arg("session"), py::arg("data"), py::arg("validation"), py::arg("epochs"),
           py::arg("steps"), py::arg("learning_rate"), py::arg("schedule"), py::arg("warmup"),
           py::arg("seed"), py::arg("shuffle"), py::arg("keep_best"), py::arg("patience"),
           py::keep_alive<1, 3>(), py::keep_alive<1, 4>())
      .def("resume", &TrainerObject::resume, py::arg("path"), py::arg("epochs") = py::none(),
           py::arg("steps") = py::none(), "Goes on with the run that a checkpoint holds.")
      .def("start", &TrainerObject::start, "Measures what the run starts from.")
      .def("step", &TrainerObject::step, "One step of the optimizer.")
      .def("measure", &TrainerObject::measure,
           "Measures on the validation data, where that is due.")
      .def("finish", &TrainerObject::finish, "Puts what the run gives into the session.")
      .def("save", &TrainerObject::save, py::arg("path"), py::arg("replace") = false,
           "Saves the run.")
      .def("check_checkpoint", &TrainerObject::check_checkpoint, py::arg("path"),
           "That the run can be saved there.")
      .def_property_readonly(
          "done", [](const TrainerObject& t) { return t.run().done(); },
          "Whether nothing is left to do.")
      .def_property_readonly(
          "last_epoch",
          [](const TrainerObject& t) { return measured(&t.run().trainer().last_epoch()); },
          "Loss and accuracy over the last epoch.")
      .def_property_readonly(
          "validation", [](const TrainerObject& t) { return measured(t.run().held_out()); },
          "What was measured last.")
      .def_property_readonly(
          "baseline", [](const TrainerObject& t) { return measured(t.run().baseline()); },
          "What the run started from.")
      .def_property_readonly(
          "kept_baseline", [](const TrainerObject& t) { return t.run().kept_baseline(); },
          "Whether the run gives what it started from.")
      .def_property_readonly(
          "best_epoch", [](const TrainerObject& t) { return t.run().info().best.epoch; },
          "The epoch of the least loss on the validation data; 0: what the run started from.")
      .def_property_readonly(
          "step_count", [](const TrainerObject& t) { return t.run().trainer().progress().step; },
          "Optimizer steps done.")
      .def_property_readonly(
          "epoch_count", [](const TrainerObject& t) { return t.run().trainer().progress().epoch; },
          "Epochs done.")
      .def_property_readonly(
          "total_steps", [](const TrainerObject& t) { return t.run().trainer().total_steps(); },
          "Steps from the run's start to its end.")
      .def_property_readonly(
          "steps_per_epoch",
          [](const TrainerObject& t) { return t.run().trainer().steps_per_epoch(); },
          "Steps in a pass over the data.");
}

}  // namespace attune::python
