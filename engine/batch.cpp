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

double real_at(const Tensor& tensor, int64_t i) {
  return tensor.dtype == DType::f64 ? tensor.as<double>()[i]
                                    : static_cast<double>(tensor.as<float>()[i]);
}
void set_real(const Tensor& tensor, int64_t i, double value) {
  if (tensor.dtype == DType::f64)
    tensor.as<double>()[i] = value;
  else
    tensor.as<float>()[i] = static_cast<float>(value);
}

// Zeros from an element on.
void clear_from(const Tensor& tensor, int64_t element) {
  const size_t start = dtype_bytes(tensor.dtype, static_cast<size_t>(element));
  std::memset(tensor.as<std::byte>() + start, 0, tensor.bytes() - start);
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
    return Status::error("%.*s: %s%.*s %d is outside the plan's %s, 0 .. %d",
                         static_cast<int>(where.size()), where.data(), label ? "" : "id in ",
                         label ? 5 : static_cast<int>(port.name.size()),
                         label ? "label" : port.name.data(), static_cast<int>(value),
                         label ? "classes" : "table", static_cast<int>(port.limit) - 1);
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

// Reads the target of an example into place `place` of the batch. Where positions have weights,
// those that are ignored get none, and a class for form's sake, the others 1. `counted`: the share
// of positions that count.
Status Batch::read_target(Dataset& data, int64_t example, int64_t place, double* counted) const {
  const size_t bytes = target_.tensor.bytes() / static_cast<size_t>(size_);
  const std::span<std::byte> room(
      target_.tensor.as<std::byte>() + static_cast<size_t>(place) * bytes, bytes);
  ATTUNE_RETURN_IF_ERROR(data.read(example, kTargetField, room));
  *counted = 1;
  if (weighs_positions()) {
    auto* labels = target_.tensor.as<int32_t>() + place * positions_;
    int64_t ignored = 0;
    for (int64_t p = 0; p < positions_; ++p) {
      const bool counts = labels[p] != kIgnoredLabel;
      set_real(weights_, place * positions_ + p, counts ? 1 : 0);
      if (counts) continue;
      labels[p] = 0;
      ++ignored;
    }
    *counted = static_cast<double>(positions_ - ignored) / static_cast<double>(positions_);
  }
  return check_limit(data, example, target_, room);
}

Status Batch::fill(Dataset& data, const int32_t* order, int64_t first, int64_t count) {
  for (int field = 0;; ++field) {
    const SessionPort input = session_->port(kind_, PortRole::input, field);
    if (!input) break;
    ATTUNE_RETURN_IF_ERROR(fill_port(data, input, field, order, first, count));
  }
  const int64_t each = weighs_positions() ? positions_ : 1;
  weight_ = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t example = order ? order[first + i] : first + i;
    const double weight = rounded_weight(data.weight(example));
    if (!(weight >= 0 && std::isfinite(weight))) {
      const std::string_view where = data.describe(example);
      return Status::error("%.*s: the weight %g is no finite number of at least 0",
                           static_cast<int>(where.size()), where.data(), weight);
    }
    double counted = 1;
    if (target_) ATTUNE_RETURN_IF_ERROR(read_target(data, example, i, &counted));
    for (int64_t p = i * each; p < (i + 1) * each; ++p)
      set_real(weights_, p, each > 1 ? weight * real_at(weights_, p) : weight);
    weight_ += weight * counted;
    if (!advantages_) continue;
    const double advantage = data.advantage(example);
    if (!std::isfinite(advantage)) {
      const std::string_view where = data.describe(example);
      return Status::error("%.*s: the advantage %g is no finite number",
                           static_cast<int>(where.size()), where.data(), advantage);
    }
    set_real(advantages_, i, advantage);
  }
  clear_from(weights_, count * each);
  if (advantages_) clear_from(advantages_, count);
  if (target_) clear_from(target_.tensor, count * (target_.tensor.shape.elements() / size_));
  return Status::ok();
}

double Batch::rounded_weight(double weight) const {
  return weights_.dtype == DType::f64 ? weight : static_cast<float>(weight);
}

double Batch::total_weight(Dataset& data, const int32_t* order, int64_t first,
                           int64_t count) const {
  double total = 0;
  for (int64_t i = first; i < first + count; ++i) {
    const int64_t example = order ? order[i] : i;
    double counted = 1;
    if (weighs_positions() && !read_target(data, example, 0, &counted))
      return std::numeric_limits<double>::quiet_NaN();
    total += rounded_weight(data.weight(example)) * counted;
  }
  return total;
}

double Batch::loss() const { return scalar(loss_); }
double Batch::correct() const { return correct_ ? scalar(correct_) : 0; }

}  // namespace attune
