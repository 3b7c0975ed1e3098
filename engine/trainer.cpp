#include "attune/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "engine/random.h"

namespace attune {
namespace {

// Adam's bias correction counts steps in 32 bits.
constexpr int64_t kMaxSteps = std::numeric_limits<int32_t>::max();

Status check_options(const TrainOptions& options) {
  if (options.steps < 0 || options.steps > kMaxSteps)
    return Status::error("%lld steps: give 1 .. %lld, or 0 to count epochs",
                         static_cast<long long>(options.steps), static_cast<long long>(kMaxSteps));
  if (options.steps == 0 && (options.epochs < 1 || options.epochs > kMaxSteps))
    return Status::error("%lld epochs: give at least 1, or a number of steps",
                         static_cast<long long>(options.epochs));
  return check_schedule(options.schedule);
}

}  // namespace

Trainer::Trainer(Session& session, Dataset& data, const TrainOptions& options)
    : session_(session), data_(data), options_(options) {}

Status Trainer::create(Session& session, Dataset& data, const TrainOptions& options,
                       std::unique_ptr<Trainer>* trainer) {
  ATTUNE_RETURN_IF_ERROR(check_options(options));
  std::unique_ptr<Trainer> made(new (std::nothrow) Trainer(session, data, options));
  if (!made) return Status::error("out of memory for a trainer");
  ATTUNE_RETURN_IF_ERROR(Batch::bind(session, ProgramKind::train_step, data, &made->batch_));
  made->rate_ = session.port(ProgramKind::train_step, PortRole::rate).tensor;
  made->step_number_ = session.port(ProgramKind::train_step, PortRole::step).tensor;
  const int64_t batch = made->batch_.size();
  made->steps_per_epoch_ = (data.size() + batch - 1) / batch;
  made->set_total_steps();
  if (made->total_steps_ > kMaxSteps)
    return Status::error("%lld epochs of %lld steps are more than %lld steps; use fewer epochs",
                         static_cast<long long>(options.epochs),
                         static_cast<long long>(made->steps_per_epoch_),
                         static_cast<long long>(kMaxSteps));
  made->order_.reset(new (std::nothrow) int32_t[static_cast<size_t>(data.size())]);
  if (!made->order_) return Status::error("out of memory for the order of the examples");
  *trainer = std::move(made);
  return Status::ok();
}

// From where the run stands to its end; at the start this is epochs * steps_per_epoch.
void Trainer::set_total_steps() {
  total_steps_ = options_.steps;
  if (options_.steps == 0) {
    const int64_t epochs_left = std::max<int64_t>(options_.epochs - progress_.epoch, 0);
    total_steps_ = progress_.step;
    if (epochs_left > 0) total_steps_ += epochs_left * steps_per_epoch_ - progress_.batch;
  }
  options_.schedule.total_steps = total_steps_;
}

bool Trainer::done() const {
  return options_.steps > 0 ? progress_.step >= options_.steps : progress_.epoch >= options_.epochs;
}

void Trainer::order_epoch(int64_t epoch) {
  if (order_epoch_ == epoch) return;
  const int64_t count = data_.size();
  if (options_.shuffle) {
    shuffled_order(Random(options_.seed, static_cast<uint64_t>(epoch)), count, order_.get());
  } else {
    for (int64_t i = 0; i < count; ++i) order_[i] = static_cast<int32_t>(i);
  }
  order_epoch_ = epoch;
}

Status Trainer::run_batch(double rate, double* loss) {
  order_epoch(progress_.epoch);
  const int64_t first = progress_.batch * batch_.size();
  const int64_t count = std::min(batch_.size(), data_.size() - first);
  ATTUNE_RETURN_IF_ERROR(batch_.fill(data_, order_.get(), first, count));
  if (rate_) set_scalar(rate_, rate);
  if (step_number_)
    set_scalar(step_number_, static_cast<double>(std::min(
                                 progress_.earlier_steps + progress_.step + 1, kMaxSteps)));
  ATTUNE_RETURN_IF_ERROR(session_.run(ProgramKind::train_step));
  *loss = batch_.loss();
  return Status::ok();
}

Status Trainer::loss_of_next_batch(double* loss) { return run_batch(0, loss); }

std::string_view Trainer::describe_next_batch() {
  order_epoch(progress_.epoch);
  return data_.describe(order_[progress_.batch * batch_.size()]);
}

Status Trainer::step() {
  if (done())
    return Status::error("training is done after %lld steps",
                         static_cast<long long>(progress_.step));
  epoch_ended_ = false;
  const double rate = options_.schedule.rate(progress_.step);
  double loss = 0;
  diverged_ = false;
  ATTUNE_RETURN_IF_ERROR(run_batch(rate, &loss));
  diverged_ = !std::isfinite(loss);
  if (diverged_)
    return Status::error(
        "step %lld (epoch %lld, learning rate %g): the loss is not finite (%g), so training has "
        "diverged or the data holds such numbers; lower the learning rate, or warm it up, and "
        "start from the last checkpoint",
        static_cast<long long>(progress_.step + 1), static_cast<long long>(progress_.epoch + 1),
        rate, loss);
  const double weight = batch_.weight();
  progress_.loss_sum += loss * weight;
  progress_.correct_sum += batch_.correct();
  progress_.weight_sum += weight;
  progress_.last_loss = loss;
  progress_.last_rate = rate;
  ++progress_.step;
  if (++progress_.batch == steps_per_epoch_) {
    if (progress_.weight_sum == 0)
      return Status::error("epoch %lld: every example has the weight 0; correct the weights",
                           static_cast<long long>(progress_.epoch + 1));
    last_epoch_.loss = progress_.loss_sum / progress_.weight_sum;
    last_epoch_.accuracy =
        progress_.correct_sum / (progress_.weight_sum * static_cast<double>(batch_.positions()));
    last_epoch_.examples = data_.size();
    progress_.loss_sum = progress_.correct_sum = progress_.weight_sum = 0;
    progress_.batch = 0;
    ++progress_.epoch;
    epoch_ended_ = true;
  }
  return Status::ok();
}

// What the examples of the epoch under way weigh that `progress` has seen, summed as `step` does.
double Trainer::weight_so_far(const TrainProgress& progress) {
  order_epoch(progress.epoch);
  double total = 0;
  for (int64_t b = 0; b < progress.batch; ++b) {
    const int64_t first = b * batch_.size();
    total += batch_.total_weight(data_, order_.get(), first,
                                 std::min(batch_.size(), data_.size() - first));
  }
  return total;
}

// Whether training reaches it with this data and batch size.
Status Trainer::check_position(const TrainProgress& progress) {
  if (progress.step < 0 || progress.step > kMaxSteps || progress.earlier_steps < 0 ||
      progress.earlier_steps > kMaxSteps || progress.epoch < 0 || progress.epoch > progress.step ||
      progress.batch < 0 || progress.batch > progress.step || !(progress.weight_sum >= 0) ||
      !std::isfinite(progress.loss_sum) || !(progress.correct_sum >= 0) ||
      // Sums of weights round.
      progress.correct_sum >
          progress.weight_sum * static_cast<double>(batch_.positions()) * (1 + 1e-5))
    return Status::error("resume: the checkpoint's position is not one that training reaches");
  if (progress.batch == 0) {
    if (progress.weight_sum != 0)
      return Status::error("resume: the checkpoint's position is not one that training reaches");
  } else if (progress.batch <= steps_per_epoch_ && progress.weight_sum != weight_so_far(progress)) {
    return Status::error(
        "resume: the checkpoint stands in the middle of an epoch, after %lld batches that weigh %g "
        "(the number of their examples, where these have no weights), and with this data and the "
        "plan's batch size of %lld they weigh %g; use the same data and weights, and a plan with "
        "the "
        "same batch size, or a checkpoint of the end of an epoch",
        static_cast<long long>(progress.batch), progress.weight_sum,
        static_cast<long long>(batch_.size()), weight_so_far(progress));
  } else if (progress.batch >= steps_per_epoch_) {
    return Status::error(
        "resume: the checkpoint has seen %lld batches of this epoch, and the data gives only %lld; "
        "use the data that it was trained on",
        static_cast<long long>(progress.batch), static_cast<long long>(steps_per_epoch_));
  }
  return Status::ok();
}

Status Trainer::go_back(const TrainProgress& progress, double rate) {
  ATTUNE_RETURN_IF_ERROR(check_position(progress));
  progress_ = progress;
  options_.schedule.base = rate;
  epoch_ended_ = diverged_ = false;
  set_total_steps();
  return Status::ok();
}

Status Trainer::resume(const TrainProgress& progress) {
  if (progress_.step != 0) return Status::error("resume: training has already begun");
  ATTUNE_RETURN_IF_ERROR(check_position(progress));
  const TrainProgress before = progress_;
  progress_ = progress;
  set_total_steps();
  if (total_steps_ > kMaxSteps) {
    progress_ = before;
    set_total_steps();
    return Status::error("resume: more than %lld steps in all; use fewer epochs",
                         static_cast<long long>(kMaxSteps));
  }
  return Status::ok();
}

Status evaluate(Session& session, Dataset& data, Evaluation* evaluation, bool* finite) {
  Batch batch;
  ATTUNE_RETURN_IF_ERROR(Batch::bind(session, ProgramKind::evaluate, data, &batch));
  double loss_sum = 0, correct_sum = 0, weight_sum = 0;
  for (int64_t first = 0; first < data.size(); first += batch.size()) {
    const int64_t count = std::min(batch.size(), data.size() - first);
    ATTUNE_RETURN_IF_ERROR(batch.fill(data, nullptr, first, count));
    ATTUNE_RETURN_IF_ERROR(session.run(ProgramKind::evaluate));
    const double loss = batch.loss();
    if (finite) *finite = std::isfinite(loss);
    if (finite && !*finite) {
      *evaluation = {.loss = HUGE_VAL, .examples = data.size()};
      return Status::ok();
    }
    if (!std::isfinite(loss)) {
      const std::string_view where = data.describe(first);
      return Status::error(
          "evaluate: the loss over %lld examples from %.*s is not finite (%g): the parameters have "
          "diverged, or the data holds such numbers",
          static_cast<long long>(count), static_cast<int>(where.size()), where.data(), loss);
    }
    loss_sum += loss * batch.weight();
    correct_sum += batch.correct();
    weight_sum += batch.weight();
  }
  if (weight_sum == 0)
    return Status::error("evaluate: every example has the weight 0; correct the weights");
  *evaluation = {loss_sum / weight_sum,
                 correct_sum / (weight_sum * static_cast<double>(batch.positions())), data.size()};
  return Status::ok();
}

}  // namespace attune
