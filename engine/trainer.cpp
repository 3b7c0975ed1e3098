#include "attune/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "engine/batch.h"
#include "engine/platform/memory_block.h"
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

// Lies at the start of its block, and the order of the examples behind it.
struct [[gnu::visibility("hidden")]] Trainer::Parts {
  Parts(Session& in, Dataset& from, const TrainOptions& with)
      : session(in), data(from), options(with) {}

  bool done() const {
    return options.steps > 0 ? progress.step >= options.steps : progress.epoch >= options.epochs;
  }
  void set_total_steps();
  void order_epoch(int64_t epoch);
  double weight_so_far(const TrainProgress& seen);
  Status run_batch(double rate, double* loss);
  Status step();
  Status check_position(const TrainProgress& from);
  Status resume(const TrainProgress& from);
  Status go_back(const TrainProgress& to, double rate);

  Trainer trainer{*this};
  MemoryBlock block;
  Session& session;
  Dataset& data;
  TrainOptions options;
  TrainProgress progress;
  Evaluation last_epoch;
  bool epoch_ended = false, diverged = false;
  int64_t steps_per_epoch = 0, total_steps = 0;
  Batch batch;
  Tensor rate_port, step_port;  // absent where the optimizer needs none
  int64_t ordered_epoch = -1;
  int32_t* order = nullptr;
};

Status Trainer::create(Session& session, Dataset& data, const TrainOptions& options,
                       std::unique_ptr<Trainer>* trainer) {
  ATTUNE_RETURN_IF_ERROR(check_options(options));
  Batch batch;
  ATTUNE_RETURN_IF_ERROR(Batch::bind(session, ProgramKind::train_step, data, &batch));
  MemoryBlock block;
  if (!block.allocate(session.allocator(), required_bytes(data.size())))
    return Status::error("out of memory for a trainer of %lld examples",
                         static_cast<long long>(data.size()));
  auto* parts = new (block.data()) Parts(session, data, options);
  std::unique_ptr<Trainer> made(&parts->trainer);
  parts->order = reinterpret_cast<int32_t*>(block.data() + sizeof(Parts));
  parts->block = std::move(block);
  parts->batch = batch;
  parts->rate_port = session.port(ProgramKind::train_step, PortRole::rate).tensor;
  parts->step_port = session.port(ProgramKind::train_step, PortRole::step).tensor;
  parts->steps_per_epoch = (data.size() + batch.size() - 1) / batch.size();
  parts->set_total_steps();
  if (parts->total_steps > kMaxSteps)
    return Status::error("%lld epochs of %lld steps are more than %lld steps; use fewer epochs",
                         static_cast<long long>(options.epochs),
                         static_cast<long long>(parts->steps_per_epoch),
                         static_cast<long long>(kMaxSteps));
  *trainer = std::move(made);
  return Status::ok();
}

size_t Trainer::required_bytes(int64_t examples) {
  return sizeof(Parts) + static_cast<size_t>(examples) * sizeof(int32_t);
}

void Trainer::operator delete(Trainer* trainer, std::destroying_delete_t) {
  Parts* const parts = &trainer->parts_;
  const MemoryBlock block = std::move(parts->block);  // goes last
  parts->~Parts();
}

bool Trainer::done() const { return parts_.done(); }
Status Trainer::step() { return parts_.step(); }
Status Trainer::resume(const TrainProgress& progress) { return parts_.resume(progress); }
bool Trainer::diverged() const { return parts_.diverged; }
double Trainer::rate() const { return parts_.options.schedule.rate(parts_.progress.step); }

Status Trainer::set_rate(double rate) {
  Schedule shape = parts_.options.schedule;
  shape.base = 1;
  const double share = shape.rate(parts_.progress.step);
  if (share == 0)
    return Status::error("the learning rate cannot be set: the schedule is at zero by now");
  Schedule schedule = parts_.options.schedule;
  schedule.base = rate / share;
  ATTUNE_RETURN_IF_ERROR(check_schedule(schedule));
  parts_.options.schedule = schedule;
  return Status::ok();
}

Status Trainer::go_back(const TrainProgress& progress, double rate) {
  return parts_.go_back(progress, rate);
}
bool Trainer::reaches(const TrainProgress& progress) {
  return parts_.check_position(progress).is_ok();
}
Status Trainer::loss_of_next_batch(double* loss) { return parts_.run_batch(0, loss); }
std::string_view Trainer::describe_next_batch() {
  parts_.order_epoch(parts_.progress.epoch);
  return parts_.data.describe(parts_.order[parts_.progress.batch * parts_.batch.size()]);
}
int64_t Trainer::steps_per_epoch() const { return parts_.steps_per_epoch; }
int64_t Trainer::total_steps() const { return parts_.total_steps; }
const TrainProgress& Trainer::progress() const { return parts_.progress; }
const TrainOptions& Trainer::options() const { return parts_.options; }
bool Trainer::epoch_ended() const { return parts_.epoch_ended; }
const Evaluation& Trainer::last_epoch() const { return parts_.last_epoch; }

// From where the run stands to its end; at the start this is epochs * steps_per_epoch.
void Trainer::Parts::set_total_steps() {
  total_steps = options.steps;
  if (options.steps == 0) {
    const int64_t epochs_left = std::max<int64_t>(options.epochs - progress.epoch, 0);
    total_steps = progress.step;
    if (epochs_left > 0) total_steps += epochs_left * steps_per_epoch - progress.batch;
  }
  options.schedule.total_steps = total_steps;
}

void Trainer::Parts::order_epoch(int64_t epoch) {
  if (ordered_epoch == epoch) return;
  const int64_t count = data.size();
  if (options.shuffle) {
    shuffled_order(Random(options.seed, static_cast<uint64_t>(epoch)), count, order);
  } else {
    for (int64_t i = 0; i < count; ++i) order[i] = static_cast<int32_t>(i);
  }
  ordered_epoch = epoch;
}

Status Trainer::Parts::run_batch(double rate, double* loss) {
  order_epoch(progress.epoch);
  const int64_t first = progress.batch * batch.size();
  const int64_t count = std::min(batch.size(), data.size() - first);
  ATTUNE_RETURN_IF_ERROR(batch.fill(data, order, first, count));
  if (rate_port) set_scalar(rate_port, rate);
  if (step_port)
    set_scalar(step_port, static_cast<double>(
                              std::min(progress.earlier_steps + progress.step + 1, kMaxSteps)));
  ATTUNE_RETURN_IF_ERROR(session.run(ProgramKind::train_step));
  *loss = batch.loss();
  return Status::ok();
}

Status Trainer::Parts::step() {
  if (done())
    return Status::error("training is done after %lld steps",
                         static_cast<long long>(progress.step));
  epoch_ended = diverged = false;
  const double rate = options.schedule.rate(progress.step);
  double loss = 0;
  ATTUNE_RETURN_IF_ERROR(run_batch(rate, &loss));
  diverged = !std::isfinite(loss);
  if (diverged)
    return Status::error(
        "step %lld (epoch %lld, learning rate %g): the loss is not finite (%g), so training has "
        "diverged or the data holds such numbers; lower the learning rate, or warm it up, and "
        "start from the last checkpoint",
        static_cast<long long>(progress.step + 1), static_cast<long long>(progress.epoch + 1), rate,
        loss);
  const double weight = batch.weight();
  progress.loss_sum += loss * weight;
  progress.correct_sum += batch.correct();
  progress.weight_sum += weight;
  progress.last_loss = loss;
  progress.last_rate = rate;
  ++progress.step;
  if (++progress.batch == steps_per_epoch) {
    if (progress.weight_sum == 0)
      return Status::error("epoch %lld: every example has the weight 0; correct the weights",
                           static_cast<long long>(progress.epoch + 1));
    last_epoch.loss = progress.loss_sum / progress.weight_sum;
    last_epoch.accuracy =
        progress.correct_sum / (progress.weight_sum * static_cast<double>(batch.positions()));
    last_epoch.examples = data.size();
    progress.loss_sum = progress.correct_sum = progress.weight_sum = 0;
    progress.batch = 0;
    ++progress.epoch;
    epoch_ended = true;
  }
  return Status::ok();
}

// What the examples of the epoch under way weigh that a run has seen, summed as `step` does.
double Trainer::Parts::weight_so_far(const TrainProgress& seen) {
  order_epoch(seen.epoch);
  double total = 0;
  for (int64_t b = 0; b < seen.batch; ++b) {
    const int64_t first = b * batch.size();
    total += batch.total_weight(data, order, first, std::min(batch.size(), data.size() - first));
  }
  return total;
}

// Whether training reaches it with this data and batch size.
Status Trainer::Parts::check_position(const TrainProgress& from) {
  if (from.step < 0 || from.step > kMaxSteps || from.earlier_steps < 0 ||
      from.earlier_steps > kMaxSteps || from.epoch < 0 || from.epoch > from.step ||
      from.batch < 0 || from.batch > from.step || !(from.weight_sum >= 0) ||
      !std::isfinite(from.loss_sum) || !(from.correct_sum >= 0) ||
      // Sums of weights round.
      from.correct_sum > from.weight_sum * static_cast<double>(batch.positions()) * (1 + 1e-5))
    return Status::error("resume: the checkpoint's position is not one that training reaches");
  if (from.batch == 0) {
    if (from.weight_sum != 0)
      return Status::error("resume: the checkpoint's position is not one that training reaches");
  } else if (from.batch <= steps_per_epoch && from.weight_sum != weight_so_far(from)) {
    return Status::error(
        "resume: the checkpoint stands in the middle of an epoch, after %lld batches that weigh %g "
        "(the number of their examples, where these have no weights), and with this data and the "
        "plan's batch size of %lld they weigh %g; use the same data and weights, and a plan with "
        "the "
        "same batch size, or a checkpoint of the end of an epoch",
        static_cast<long long>(from.batch), from.weight_sum, static_cast<long long>(batch.size()),
        weight_so_far(from));
  } else if (from.batch >= steps_per_epoch) {
    return Status::error(
        "resume: the checkpoint has seen %lld batches of this epoch, and the data gives only %lld; "
        "use the data that it was trained on",
        static_cast<long long>(from.batch), static_cast<long long>(steps_per_epoch));
  }
  return Status::ok();
}

Status Trainer::Parts::go_back(const TrainProgress& to, double rate) {
  ATTUNE_RETURN_IF_ERROR(check_position(to));
  progress = to;
  options.schedule.base = rate;
  epoch_ended = diverged = false;
  set_total_steps();
  return Status::ok();
}

Status Trainer::Parts::resume(const TrainProgress& from) {
  if (progress.step != 0) return Status::error("resume: training has already begun");
  ATTUNE_RETURN_IF_ERROR(check_position(from));
  const TrainProgress before = progress;
  progress = from;
  set_total_steps();
  if (total_steps > kMaxSteps) {
    progress = before;
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
