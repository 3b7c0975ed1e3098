#include "engine/batch.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace attune {

namespace {

// Calls f with the number that a scalar tensor holds.
template <class F>
auto with_number(const Tensor& tensor, F f) {
  switch (tensor.dtype) {
    case DType::f32:
      return f(*tensor.as<float>());
    case DType::f64:
      return f(*tensor.as<double>());
    case DType::i32:
      return f(*tensor.as<int32_t>());
    default:
      return f(*tensor.as<uint8_t>());
  }
}

}  // namespace

double scalar(const Tensor& tensor) {
  return with_number(tensor, [](auto& number) { return static_cast<double>(number); });
}

void set_scalar(const Tensor& tensor, double value) {
  with_number(tensor,
              [value](auto& n) { n = static_cast<std::remove_reference_t<decltype(n)>>(value); });
}

namespace {

void set_number(const Tensor& reals, int64_t i, double number) {
  if (reals.dtype == DType::f64)
    reals.as<double>()[i] = number;
  else
    reals.as<float>()[i] = static_cast<float>(number);
}

// Whether `tensor` is whole bytes for each of `batch` examples, outermost.
bool holds_examples(const Tensor& tensor, int64_t batch) {
  return tensor && tensor.shape.rank >= 1 && tensor.shape[0] == batch &&
         tensor.dtype != DType::mask && tensor.shape.elements() > 0;
}

}  // namespace

Status check_limit(Dataset& data, int64_t example, const SessionPort& port,
                   std::span<const std::byte> bytes) {
  for (size_t at = 0; port.limit > 0 && at < bytes.size(); at += sizeof(int32_t)) {
    int32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    if (value >= 0 && value < port.limit) continue;
    const std::string_view where = data.describe(example);
    const bool label = port.role == PortRole::label;
    return Status::error(
        "%.*s: %s%.*s %d is outside the plan's %s, 0 .. %d", static_cast<int>(where.size()),
        where.data(), label ? "" : "id in ", label ? 5 : static_cast<int>(port.name.size()),
        label ? "label" : port.name.data(), value, label ? "classes" : "table", port.limit - 1);
  }
  return Status::ok();
}

Status Batch::bind(const Session& session, ProgramKind kind, Dataset& data, Batch* batch) {
  const Plan& plan = session.plan();
  const char* const program = program_name(kind);
  if (!session.has(kind))
    return Status::error("%s: the session has no program %s; %s", plan.name(), program,
                         plan.program(kind) ? "prepare it when creating the session"
                                            : "compile the plan again, with a loss");
  const bool measures = kind != ProgramKind::estimate;  // a loss
  if (data.size() < 1) return Status::error("%s: the data has no examples", plan.name());
  if (data.size() > std::numeric_limits<int32_t>::max())
    return Status::error("%s: %lld examples are too many; use at most 2147483647 at a time",
                         plan.name(), static_cast<long long>(data.size()));

  Batch b;
  b.session_ = &session;
  b.kind_ = kind;
  b.size_ = session.batch(kind);
  b.target_ = session.port(kind, PortRole::label);
  if (!b.target_) b.target_ = session.port(kind, PortRole::target);
  // Without a target, the model's input is it.
  if (b.target_ && !data.labelled())
    return Status::error("%s: the data has no labels, which %s needs", plan.name(), program);
  b.weights_ = session.port(kind, PortRole::weight).tensor;
  b.advantages_ = session.port(kind, PortRole::advantage).tensor;
  b.loss_ = session.port(kind, PortRole::loss).tensor;
  b.correct_ = session.port(kind, PortRole::metric).tensor;
  bool fits = !b.target_ || holds_examples(b.target_.tensor, b.size_);
  int inputs = 0;
  for (; const SessionPort input = session.port(kind, PortRole::input, inputs); ++inputs)
    fits = fits && holds_examples(input.tensor, b.size_);
  if (!fits || inputs == 0)
    return Status::error("%s: %s does not take an input and a target for each of %lld examples",
                         plan.name(), program, static_cast<long long>(b.size_));
  if (!b.weights_ || (measures && !b.loss_))
    return Status::error("%s: %s has no weights or no loss; compile the plan again, with a loss",
                         plan.name(), program);
  if (b.target_.role == PortRole::label) b.positions_ = b.target_.tensor.shape.elements() / b.size_;

  // What the reader cannot give shows now, and not after an hour.
  ATTUNE_RETURN_IF_ERROR(b.fill(data, nullptr, 0, 1));
  *batch = b;
  return Status::ok();
}

Status Batch::fill_port(Dataset& data, const SessionPort& port, int field, const int32_t* order,
                        int64_t first, int64_t count) const {
  std::span<std::byte> room(port.tensor.as<std::byte>(), port.tensor.bytes());
  const size_t bytes = room.size() / static_cast<size_t>(size_);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t example = order ? order[first + i] : first + i;
    ATTUNE_RETURN_IF_ERROR(data.read(example, field, room.first(bytes)));
    ATTUNE_RETURN_IF_ERROR(check_limit(data, example, port, room.first(bytes)));
    room = room.subspan(bytes);
  }
  if (!room.empty()) std::memset(room.data(), 0, room.size());
  return Status::ok();
}

Status Batch::fill(Dataset& data, const int32_t* order, int64_t first, int64_t count) {
  for (int field = 0;; ++field) {
    const SessionPort input = session_->port(kind_, PortRole::input, field);
    if (!input) break;
    ATTUNE_RETURN_IF_ERROR(fill_port(data, input, field, order, first, count));
  }
  if (target_) ATTUNE_RETURN_IF_ERROR(fill_port(data, target_, kTargetField, order, first, count));
  for (int64_t i = 0; i < size_; ++i) {
    const int64_t example = i < count && order ? order[first + i] : first + i;
    const double weight = i < count ? rounded_weight(data.weight(example)) : 0;
    if (!(weight >= 0 && std::isfinite(weight))) {
      const std::string_view where = data.describe(example);
      return Status::error("%.*s: the weight %g is no finite number of at least 0",
                           static_cast<int>(where.size()), where.data(), weight);
    }
    set_number(weights_, i, weight);
    if (!advantages_) continue;
    const double advantage = i < count ? data.advantage(example) : 0;
    if (!std::isfinite(advantage)) {
      const std::string_view where = data.describe(example);
      return Status::error("%.*s: the advantage %g is no finite number",
                           static_cast<int>(where.size()), where.data(), advantage);
    }
    set_number(advantages_, i, advantage);
  }
  weight_ = total_weight(data, order, first, count);
  return Status::ok();
}

double Batch::rounded_weight(double weight) const {
  return weights_.dtype == DType::f64 ? weight : static_cast<float>(weight);
}

double Batch::total_weight(Dataset& data, const int32_t* order, int64_t first,
                           int64_t count) const {
  double total = 0;
  for (int64_t i = first; i < first + count; ++i)
    total += rounded_weight(data.weight(order ? order[i] : i));
  return total;
}

double Batch::loss() const { return scalar(loss_); }
double Batch::correct() const { return correct_ ? scalar(correct_) : 0; }

}  // namespace attune
