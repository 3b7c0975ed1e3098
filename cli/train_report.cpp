#include "cli/train_report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "cli/output_file.h"

namespace attune::cli {
namespace {

// Of the epoch that has just ended, or else is under way.
Evaluation epoch_so_far(const Trainer& trainer) {
  if (trainer.epoch_ended()) return trainer.last_epoch();
  const TrainProgress& p = trainer.progress();
  return {.loss = p.loss_sum / p.weight_sum, .accuracy = p.correct_sum / p.weight_sum};
}

}  // namespace

std::string TrainProgressLine::figures(const Trainer& trainer, const Evaluation& epoch) const {
  const TrainProgress& p = trainer.progress();
  const double left = step_ms() / 1e3 * static_cast<double>(trainer.total_steps() - p.step);
  std::string text =
      fmt::format("step {}/{}  loss {:.4f}", p.step, trainer.total_steps(), epoch.loss);
  if (classifies_) text += fmt::format("  accuracy {:.1f} %", 100 * epoch.accuracy);
  return text + fmt::format("  rate {:.3g}  {:.1f} ms/step  {} left  memory {}", p.last_rate,
                            step_ms(), duration_text(left), bytes_text(memory_bytes_));
}

void TrainProgressLine::step(const Trainer& trainer) {
  const auto now = std::chrono::steady_clock::now();
  if (!line_.rewrites() || trainer.epoch_ended() || now - last_ < std::chrono::milliseconds(100))
    return;
  last_ = now;
  line_.show(fmt::format("epoch {}  {}", trainer.progress().epoch + 1,
                         figures(trainer, epoch_so_far(trainer))));
}

void TrainProgressLine::baseline(const Evaluation& before) {
  line_.show("before  " + validation_figures(before));
  line_.finish();
}

std::string TrainProgressLine::validation_figures(const Evaluation& validation) const {
  std::string text = fmt::format("validation loss {:.4f}", validation.loss);
  if (classifies_) text += fmt::format(" accuracy {:.1f} %", 100 * validation.accuracy);
  return text;
}

void TrainProgressLine::epoch(const Trainer& trainer, const std::optional<Evaluation>& validation) {
  std::string text =
      fmt::format("epoch {}  {}", trainer.progress().epoch, figures(trainer, trainer.last_epoch()));
  if (validation) text += "  " + validation_figures(*validation);
  line_.show(text);
  line_.finish();
}

namespace {

// Whether a log may take the file's place: nothing is there, or a log of ours.
void check_log(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return check_ending(path, "a log", ".jsonl");
  if (!S_ISREG(info.st_mode) || info.st_size == 0) return;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const Json first = Json::parse(line, nullptr, false);
  if (!first.is_object() || !first.contains("event"))
    throw_error("--log {}: exists and is not a training log; it is left alone, choose another name",
                path);
}

// A pipe without a reader is an error of writing to it here, and no signal. One that others send
// meanwhile comes behind it.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutPipeSignal() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  // Takes away the signal of a write that has failed.
  void forget() {
    const timespec now = {};
    if (!was_pending_)
      while (sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
      }
  }
  WithoutPipeSignal(const WithoutPipeSignal&) = delete;
  WithoutPipeSignal& operator=(const WithoutPipeSignal&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

}  // namespace

TrainLog::TrainLog(const std::string& path, bool append, bool quiet)
    : path_(path), append_(append), quiet_(quiet), file_(nullptr, &std::fclose) {
  if (path.empty()) return;
  check_log(path);
  // Without waiting: a pipe that nobody reads would keep training from starting.
  const int how = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | (append ? O_APPEND : 0);
  const int file = open(path.c_str(), how, 0666);
  if (file < 0 && errno == ENXIO)
    throw_error("--log {}: nobody reads this pipe; start its reader first", path);
  if (file < 0) throw_error("--log {}: cannot be written: {}", path, strerror(errno));
  fcntl(file, F_SETFL, how & O_APPEND);  // writing may wait
  file_.reset(fdopen(file, append ? "a" : "w"));
  if (!file_) {
    close(file);
    throw_error("--log {}: cannot be written: {}", path, strerror(errno));
  }
}

void TrainLog::write(const Json& event) {
  if (!file_) return;
  std::string line = dump_line(event) + '\n';
  if (!append_) {
    if (first_.empty()) {
      first_ = std::move(line);
      return;
    }
    // Not every file has an end to cut off: a pipe, a terminal.
    if (ftruncate(fileno(file_.get()), 0) != 0 && errno != EINVAL) return end(errno);
    line.insert(0, std::exchange(first_, {}));
    append_ = true;
  }
  WithoutPipeSignal without;
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() &&
      std::fflush(file_.get()) == 0)
    return;
  const int error = errno;
  end(error);  // closing it writes again what is left
  if (error == EPIPE) without.forget();
}

void TrainLog::end(int error) {
  file_.reset();
  print_note(fmt::format("--log {}: cannot be written: {}; the run goes on without it", path_,
                         strerror(error)));
}

void add_evaluation(Json& json, const std::string& prefix, const Evaluation& evaluation,
                    bool classifies) {
  json[prefix + "loss"] = evaluation.loss;
  if (classifies) json[prefix + "accuracy"] = evaluation.accuracy;
}

Json step_event(const Trainer& trainer, double ms, bool classifies) {
  const TrainProgress& p = trainer.progress();
  Json json;
  json["event"] = "step";
  json["step"] = p.step;
  json["epoch"] = trainer.epoch_ended() ? p.epoch : p.epoch + 1;
  json["loss"] = p.last_loss;
  add_evaluation(json, "epoch_", epoch_so_far(trainer), classifies);
  json["learning_rate"] = p.last_rate;
  json["ms"] = ms;
  return json;
}

Json baseline_event(const Trainer& trainer, const Evaluation& before, bool classifies) {
  Json json = validation_event(trainer, before, classifies);
  json["event"] = "baseline";
  return json;
}

Json rollback_event(const Rollback& rollback) {
  Json json;
  json["event"] = "rollback";
  json["failed_step"] = rollback.failed_step;
  json["not_finite"] = rollback.parameters ? "parameters" : "loss";
  json["step"] = rollback.step;
  json["rollbacks"] = rollback.count;
  json["learning_rate"] = rollback.rate;
  return json;
}

Json validation_event(const Trainer& trainer, const Evaluation& validation, bool classifies) {
  Json json;
  json["event"] = "validation";
  json["epoch"] = trainer.progress().epoch;
  json["step"] = trainer.progress().step;
  add_evaluation(json, "validation_", validation, classifies);
  return json;
}

Json epoch_event(const Trainer& trainer, const std::optional<Evaluation>& validation,
                 bool classifies) {
  Json json;
  json["event"] = "epoch";
  json["epoch"] = trainer.progress().epoch;
  json["step"] = trainer.progress().step;
  json["examples"] = trainer.last_epoch().examples;
  add_evaluation(json, "", trainer.last_epoch(), classifies);
  if (validation) add_evaluation(json, "validation_", *validation, classifies);
  return json;
}

}  // namespace attune::cli
