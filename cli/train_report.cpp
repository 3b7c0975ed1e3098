#include "cli/train_report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <utility>

namespace attune::cli {

Progress::Progress(bool quiet, bool classifies, size_t memory_bytes)
    : quiet_(quiet),
      classifies_(classifies),
      terminal_(isatty(STDERR_FILENO) == 1),
      memory_bytes_(memory_bytes) {}

Progress::~Progress() { finish_line(); }

void Progress::finish_line() {
  if (line_open_) std::fputc('\n', stderr);
  line_open_ = false;
}

std::string Progress::line(const Trainer& trainer, double loss, double accuracy) const {
  const TrainProgress& p = trainer.progress();
  const double left = step_ms() / 1e3 * static_cast<double>(trainer.total_steps() - p.step);
  std::string text = fmt::format("step {}/{}  loss {:.4f}", p.step, trainer.total_steps(), loss);
  if (classifies_) text += fmt::format("  accuracy {:.1f} %", 100 * accuracy);
  return text + fmt::format("  rate {:.3g}  {:.1f} ms/step  {} left  memory {}", p.last_rate,
                            step_ms(), duration_text(left), bytes_text(memory_bytes_));
}

void Progress::step(const Trainer& trainer) {
  const auto now = std::chrono::steady_clock::now();
  if (quiet_ || !terminal_ || trainer.epoch_ended() || now - last_ < std::chrono::milliseconds(100))
    return;
  last_ = now;
  const TrainProgress& p = trainer.progress();
  const std::string text =
      fmt::format("epoch {}  {}", p.epoch + 1,
                  line(trainer, p.loss_sum / p.weight_sum, p.correct_sum / p.weight_sum));
  fmt::print(stderr, "\r\x1b[K{}", text);
  std::fflush(stderr);
  line_open_ = true;
}

void Progress::epoch(const Trainer& trainer, const std::optional<Evaluation>& validation) {
  if (quiet_) return;
  const Evaluation& epoch = trainer.last_epoch();
  std::string text = fmt::format("epoch {}  {}", trainer.progress().epoch,
                                 line(trainer, epoch.loss, epoch.accuracy));
  if (validation) {
    text += fmt::format("  validation loss {:.4f}", validation->loss);
    if (classifies_) text += fmt::format(" accuracy {:.1f} %", 100 * validation->accuracy);
  }
  fmt::print(stderr, "{}{}\n", line_open_ ? "\r\x1b[K" : "", text);
  line_open_ = false;
}

namespace {

// Whether a log may take the file's place: nothing is there, or a log of ours.
void check_log(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) return;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const Json first = Json::parse(line, nullptr, false);
  if (!first.is_object() || !first.contains("event"))
    throw_error("--log {}: exists and is not a training log; it is left alone, choose another name",
                path);
}

}  // namespace

TrainLog::TrainLog(const std::string& path, bool append)
    : path_(path), append_(append), file_(nullptr, &std::fclose) {
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
    if (ftruncate(fileno(file_.get()), 0) != 0 && errno != EINVAL)
      throw_error("--log {}: cannot be written: {}", path_, strerror(errno));
    line.insert(0, std::exchange(first_, {}));
    append_ = true;
  }
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
      std::fflush(file_.get()) != 0)
    throw_error("--log {}: cannot be written: {}", path_, strerror(errno));
}

Json step_event(const Trainer& trainer, double ms, bool classifies) {
  const TrainProgress& p = trainer.progress();
  Json json;
  json["event"] = "step";
  json["step"] = p.step;
  json["epoch"] = trainer.epoch_ended() ? p.epoch : p.epoch + 1;
  json["loss"] = p.last_loss;
  if (trainer.epoch_ended()) {
    json["epoch_loss"] = trainer.last_epoch().loss;
    if (classifies) json["epoch_accuracy"] = trainer.last_epoch().accuracy;
  } else {
    json["epoch_loss"] = p.loss_sum / p.weight_sum;
    if (classifies) json["epoch_accuracy"] = p.correct_sum / p.weight_sum;
  }
  json["learning_rate"] = p.last_rate;
  json["ms"] = ms;
  return json;
}

Json epoch_event(const Trainer& trainer, const std::optional<Evaluation>& validation,
                 bool classifies) {
  Json json;
  json["event"] = "epoch";
  json["epoch"] = trainer.progress().epoch;
  json["step"] = trainer.progress().step;
  json["examples"] = trainer.last_epoch().examples;
  json["loss"] = trainer.last_epoch().loss;
  if (classifies) json["accuracy"] = trainer.last_epoch().accuracy;
  if (validation) {
    json["validation_loss"] = validation->loss;
    if (classifies) json["validation_accuracy"] = validation->accuracy;
  }
  return json;
}

}  // namespace attune::cli
