#include "sparse_update/pipeline/verify_examples.h"

#include <algorithm>

#include "engine/batch.h"
#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"
#include "graph/passes/passes.h"

namespace attune {
namespace {

void set_all(HostTensor* tensor, double value) {
  const std::vector<double> all(static_cast<size_t>(tensor->shape.elements()), value);
  *tensor = is_real(tensor->dtype)
                ? HostTensor::of_reals(tensor->dtype, tensor->shape, all)
                : HostTensor::of_ints(tensor->dtype, tensor->shape, {all.begin(), all.end()});
}

HostTensor in_double(const HostTensor& tensor) {
  return is_real(tensor.dtype) ? HostTensor::of_reals(DType::f64, tensor.shape, tensor.reals())
                               : tensor;
}

}  // namespace

VerifyExamples::VerifyExamples(const Plan& plan, Dataset* data, uint64_t seed)
    : plan_(plan), data_(data), random_(seed, 0) {
  if (data && data->size() < 1) throw_error("{}: the data have no examples", plan.name());
}

ProgramInputs VerifyExamples::read(ProgramKind kind, int64_t first) {
  const format::Program& program = *plan_.program(kind);
  ProgramInputs inputs;
  int fields = 0;
  for (const format::Port* port : *program.ports()) {
    const PortRole role = role_of(*port);
    if (!is_fed(role)) continue;
    const Tensor tensor =
        described_tensor(*program.tensors()->Get(static_cast<unsigned>(port->tensor())));
    HostTensor& made = inputs[port->name()->str()] = HostTensor::zeros(tensor.dtype, tensor.shape);
    if (role == PortRole::weight || role == PortRole::step) {
      set_all(&made, 1);
    } else if (role == PortRole::rate) {
      set_all(&made, 0.01);
    } else if (role == PortRole::advantage) {
      randomize(*port, &made);
    } else {
      const int field = role == PortRole::input ? fields++ : kTargetField;
      if (data_ && (field != kTargetField || data_->labelled()))
        read_data(first, program.batch(), field, *port, &made);
      else
        randomize(*port, &made);
    }
  }
  return inputs;
}

void VerifyExamples::read_data(int64_t first, int batch, int field, const format::Port& port,
                               HostTensor* tensor) {
  const size_t bytes = tensor->bytes.size() / static_cast<size_t>(batch);
  for (int i = 0; i < batch; ++i) {
    const int64_t example = (first + i) % data_->size();
    const auto part = std::span(tensor->bytes).subspan(static_cast<size_t>(i) * bytes, bytes);
    throw_if_error(data_->read(example, field, part));
    // Here every position counts; one without a label has any.
    if (auto labels = std::span(reinterpret_cast<int32_t*>(part.data()), bytes / sizeof(int32_t));
        role_of(port) == PortRole::label)
      std::ranges::replace(labels, kIgnoredLabel, 0);
    throw_if_error(check_limit(
        *data_, example, {port.name()->string_view(), role_of(port), {}, port.limit()}, part));
  }
}

// Labels and ids are within their limit, bytes are bytes, and reals are in [-1, 1).
void VerifyExamples::randomize(const format::Port& port, HostTensor* tensor) {
  const auto elements = static_cast<size_t>(tensor->shape.elements());
  if (is_real(tensor->dtype)) {
    std::vector<double> reals(elements);
    for (double& x : reals) x = static_cast<double>(random_.below(1u << 24)) / (1 << 23) - 1;
    *tensor = HostTensor::of_reals(tensor->dtype, tensor->shape, reals);
    return;
  }
  const int limit = tensor->dtype == DType::u8 ? 256 : port.limit() > 0 ? port.limit() : 2;
  std::vector<int64_t> ints(elements);
  for (int64_t& x : ints) x = static_cast<int64_t>(random_.below(static_cast<uint64_t>(limit)));
  *tensor = HostTensor::of_ints(tensor->dtype, tensor->shape, ints);
}

ProgramInputs VerifyExamples::for_model(const Graph& model, const ProgramInputs& inputs) const {
  ProgramInputs result;
  for (const Port& port : model.inputs) {
    const auto given = inputs.find(port.name);
    if (given == inputs.end())
      throw_error("{}: the plan has no input '{}', which the model has", plan_.name(), port.name);
    const HostTensor& tensor = given->second;
    const Value& value = model.value(port.value);
    const bool images = tensor.dtype == DType::u8 && is_real(value.dtype);
    result[port.name] = tensor.shape == value.shape && !images
                            ? in_double(tensor)
                            : normalized_images(tensor, value.shape);
  }
  return result;
}

HostTensor VerifyExamples::normalized_images(const HostTensor& bytes, const Shape& input) const {
  const ImagePreprocess image = plan_.preprocess().image;
  const ImageOrder order = image_order(input, {image.height, image.width, image.channels});
  if (bytes.dtype != DType::u8 || bytes.shape.elements() != input.elements() ||
      order == ImageOrder::none)
    throw_error("{}: the plan's images do not make the model's input", plan_.name());
  const int64_t area = int64_t{image.height} * image.width;
  const std::vector<double> pixels = bytes.reals();
  std::vector<double> reals(pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) {
    const auto c = static_cast<int64_t>(i) % image.channels;
    const auto pixel = static_cast<int64_t>(i) / image.channels;
    const int64_t planes = (pixel / area * image.channels + c) * area + pixel % area;
    reals[order == ImageOrder::planes ? static_cast<size_t>(planes) : i] =
        pixels[i] * image.scale[c] + image.offset[c];
  }
  return HostTensor::of_reals(DType::f64, input, reals);
}

ProgramInputs VerifyExamples::for_plan(const ProgramInputs& inputs) {
  ProgramInputs result;
  for (const auto& [name, tensor] : inputs) result[name] = in_double(tensor);
  return result;
}

}  // namespace attune
