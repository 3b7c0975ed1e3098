#include "engine/batch.h"

#include <cstring>
#include <limits>

#include "engine/format/plan_generated.h"

namespace attune {

double scalar(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::f32:
      return *tensor.as<float>();
    case DType::f64:
      return *tensor.as<double>();
    case DType::i32:
      return *tensor.as<int32_t>();
    default:
      return *tensor.as<uint8_t>();
  }
}

void set_scalar(const Tensor& tensor, double value) {
  switch (tensor.dtype) {
    case DType::f32:
      *tensor.as<float>() = static_cast<float>(value);
      break;
    case DType::f64:
      *tensor.as<double>() = value;
      break;
    case DType::i32:
      *tensor.as<int32_t>() = static_cast<int32_t>(value);
      break;
    default:
      *tensor.as<uint8_t>() = static_cast<uint8_t>(value);
      break;
  }
}

namespace {

// Whether `tensor` is whole bytes for each of `batch` examples, outermost.
bool holds_examples(const Tensor& tensor, int64_t batch) {
  return tensor && tensor.shape.rank >= 1 && tensor.shape[0] == batch &&
         tensor.dtype != DType::mask && tensor.shape.elements() > 0;
}

// The model's own inputs are the first ports.
bool has_several_inputs(const format::Program& program) {
  if (!program.inputs() || program.inputs()->size() < 2) return false;
  const std::string_view second = program.inputs()->Get(1)->name()->string_view();
  for (const char* own : {"labels", "targets", "weights", "learning_rate", "step"})
    if (second == own) return false;
  return true;
}

bool is_real_scalar(const Tensor& tensor) {
  return tensor && is_real(tensor.dtype) && tensor.shape.elements() == 1;
}

}  // namespace

Status Batch::bind(const Session& session, ProgramKind kind, Dataset& data, Batch* batch) {
  const Plan& plan = session.plan();
  const char* const program = program_name(kind);
  if (!session.has(kind))
    return Status::error("%s: the session has no program %s; %s", plan.name(), program,
                         plan.program(kind) ? "prepare it when creating the session"
                                            : "compile the plan again, with a loss");
  if (!data.labelled())
    return Status::error("%s: the data has no labels, which %s needs", plan.name(), program);
  if (data.size() < 1) return Status::error("%s: the data has no examples", plan.name());
  if (data.size() > std::numeric_limits<int32_t>::max())
    return Status::error("%s: %lld examples are too many; use at most 2147483647 at a time",
                         plan.name(), static_cast<long long>(data.size()));

  Batch b;
  b.size_ = session.batch(kind);
  b.input_ = session.model_input(kind, 0);
  b.target_ = session.input(kind, "labels");
  const bool labels = static_cast<bool>(b.target_);
  if (!labels) b.target_ = session.input(kind, "targets");
  b.weights_ = session.input(kind, "weights");
  b.loss_ = session.output(kind, "loss");
  b.correct_ = session.output(kind, "correct");
  if (has_several_inputs(*plan.program(kind)))
    return Status::error("%s: the model has several inputs, and a dataset fills one", plan.name());
  if (b.size_ < 1 || !holds_examples(b.input_, b.size_) || !holds_examples(b.target_, b.size_))
    return Status::error("%s: %s does not take an input and a target for each of %lld examples",
                         plan.name(), program, static_cast<long long>(b.size_));
  if (!holds_examples(b.weights_, b.size_) || !is_real(b.weights_.dtype) ||
      b.weights_.shape.elements() != b.size_)
    return Status::error("%s: %s has no weight for each example", plan.name(), program);
  if (!is_real_scalar(b.loss_))
    return Status::error("%s: %s has no output \"loss\"; compile the plan again, with a loss",
                         plan.name(), program);
  if (b.correct_ && b.correct_.shape.elements() != 1) b.correct_ = Tensor{};
  b.input_bytes_ = b.input_.bytes() / static_cast<size_t>(b.size_);
  b.target_bytes_ = b.target_.bytes() / static_cast<size_t>(b.size_);
  if (labels && b.target_.dtype == DType::i32 && b.target_bytes_ == sizeof(int32_t))
    b.classes_ = plan.table().class_count();

  // What the reader cannot give shows now, and not after an hour.
  ATTUNE_RETURN_IF_ERROR(b.fill(data, nullptr, 0, 1));
  *batch = b;
  return Status::ok();
}

Status Batch::check_label(Dataset& data, int64_t example, const std::byte* bytes) const {
  int32_t label = 0;
  std::memcpy(&label, bytes, sizeof(label));
  if (label >= 0 && label < classes_) return Status::ok();
  const std::string_view where = data.describe(example);
  return Status::error("%.*s: label %d is outside the plan's classes, 0 .. %d",
                       static_cast<int>(where.size()), where.data(), label, classes_ - 1);
}

Status Batch::fill(Dataset& data, const int32_t* order, int64_t first, int64_t count) {
  std::byte* const inputs = input_.as<std::byte>();
  std::byte* const targets = target_.as<std::byte>();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t example = order ? order[first + i] : first + i;
    std::byte* const target = targets + static_cast<size_t>(i) * target_bytes_;
    ATTUNE_RETURN_IF_ERROR(data.read(example,
                                     {inputs + static_cast<size_t>(i) * input_bytes_, input_bytes_},
                                     {target, target_bytes_}));
    if (classes_ > 0) ATTUNE_RETURN_IF_ERROR(check_label(data, example, target));
  }
  const size_t rest = static_cast<size_t>(size_ - count);
  std::memset(inputs + static_cast<size_t>(count) * input_bytes_, 0, rest * input_bytes_);
  std::memset(targets + static_cast<size_t>(count) * target_bytes_, 0, rest * target_bytes_);
  for (int64_t i = 0; i < size_; ++i) {
    const bool present = i < count;
    if (weights_.dtype == DType::f64)
      weights_.as<double>()[i] = present ? 1 : 0;
    else
      weights_.as<float>()[i] = present ? 1 : 0;
  }
  return Status::ok();
}

double Batch::loss() const { return scalar(loss_); }
double Batch::correct() const { return correct_ ? scalar(correct_) : 0; }

}  // namespace attune
