#include "sparse_update/pipeline/verify_examples.h"

#include <algorithm>

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

bool is_model_input(const std::string& port) {
  for (const char* own : {"labels", "targets", "weights", "learning_rate", "step"})
    if (port == own) return false;
  return true;
}

HostTensor* target_of(ProgramInputs* inputs) {
  for (const char* name : {"labels", "targets"})
    if (const auto at = inputs->find(name); at != inputs->end()) return &at->second;
  return nullptr;
}

}  // namespace

VerifyExamples::VerifyExamples(const Plan& plan, Dataset* data, uint64_t seed)
    : plan_(plan), data_(data), random_(seed, 0) {
  if (data && data->size() < 1) throw_error("{}: the data have no examples", plan.name());
}

ProgramInputs VerifyExamples::read(ProgramKind kind, int64_t first) {
  const format::Program& program = *plan_.program(kind);
  ProgramInputs inputs;
  std::vector<std::string> own;  // the model's, in file order
  if (program.inputs())
    for (const format::Port* port : *program.inputs()) {
      const Tensor tensor =
          described_tensor(*program.tensors()->Get(static_cast<unsigned>(port->tensor())));
      const std::string name = port->name()->str();
      inputs[name] = HostTensor::zeros(tensor.dtype, tensor.shape);
      if (is_model_input(name)) own.push_back(name);
    }
  if (data_ && own.size() != 1)
    throw_error("{}: the model has {} inputs, and a dataset fills one; verify without --data",
                plan_.name(), own.size());
  HostTensor* target = target_of(&inputs);
  if (data_) {
    if (target && !data_->labelled()) {
      randomize(target);
      target = nullptr;
    }
    read_data(first, program.batch(), &inputs[own.front()], target);
  } else {
    for (const std::string& name : own) randomize(&inputs[name]);
    if (target) randomize(target);
  }
  const auto fill = [&](const char* name, double value) {
    if (const auto at = inputs.find(name); at != inputs.end()) {
      HostTensor& tensor = at->second;
      const std::vector<double> all(static_cast<size_t>(tensor.shape.elements()), value);
      tensor = is_real(tensor.dtype)
                   ? HostTensor::of_reals(tensor.dtype, tensor.shape, all)
                   : HostTensor::of_ints(tensor.dtype, tensor.shape, {all.begin(), all.end()});
    }
  };
  fill("weights", 1);
  fill("learning_rate", 0.01);
  fill("step", 1);
  return inputs;
}

void VerifyExamples::read_data(int64_t first, int batch, HostTensor* input, HostTensor* target) {
  const auto part = [&](HostTensor* tensor, int i) -> std::span<std::byte> {
    if (!tensor) return {};
    const size_t bytes = tensor->bytes.size() / static_cast<size_t>(batch);
    return std::span(tensor->bytes).subspan(static_cast<size_t>(i) * bytes, bytes);
  };
  for (int i = 0; i < batch; ++i)
    throw_if_error(data_->read((first + i) % data_->size(), part(input, i), part(target, i)));
  const int32_t classes = plan_.table().class_count();
  if (!target || target->dtype != DType::i32 || classes <= 0) return;
  for (int i = 0; i < batch; ++i)
    if (const int32_t label = target->as<int32_t>()[i]; label < 0 || label >= classes)
      throw_error("{}: label {} is outside the plan's classes, 0 .. {}",
                  data_->describe((first + i) % data_->size()), label, classes - 1);
}

// Labels are classes, bytes are bytes, and reals are in [-1, 1).
void VerifyExamples::randomize(HostTensor* tensor) {
  const auto elements = static_cast<size_t>(tensor->shape.elements());
  if (is_real(tensor->dtype)) {
    std::vector<double> reals(elements);
    for (double& x : reals) x = static_cast<double>(random_.below(1u << 24)) / (1 << 23) - 1;
    *tensor = HostTensor::of_reals(tensor->dtype, tensor->shape, reals);
    return;
  }
  const int limit = tensor->dtype == DType::u8 ? 256 : std::max(plan_.table().class_count(), 2);
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
    if (!(tensor.shape == value.shape))
      result[port.name] = normalized_planes(tensor, value.shape);
    else if (is_real(tensor.dtype))
      result[port.name] = HostTensor::of_reals(DType::f64, tensor.shape, tensor.reals());
    else
      result[port.name] = tensor;
  }
  return result;
}

HostTensor VerifyExamples::normalized_planes(const HostTensor& bytes, const Shape& planes) const {
  const ImagePreprocess image = plan_.preprocess().image;
  const int64_t area = planes.rank == 4 ? int64_t{planes[2]} * planes[3] : 0;
  if (bytes.dtype != DType::u8 || bytes.shape.rank != 4 || planes.rank != 4 ||
      bytes.shape.elements() != planes.elements() || image.channels != planes[1])
    throw_error("{}: the plan's images do not make the model's input", plan_.name());
  const std::vector<double> pixels = bytes.reals();
  std::vector<double> reals(pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) {
    const auto c = static_cast<int64_t>(i) % image.channels;
    const auto at = static_cast<int64_t>(i) / image.channels;
    reals[static_cast<size_t>((at / area * image.channels + c) * area + at % area)] =
        pixels[i] * image.scale[c] + image.offset[c];
  }
  return HostTensor::of_reals(DType::f64, planes, reals);
}

ProgramInputs VerifyExamples::for_plan(const ProgramInputs& inputs) {
  ProgramInputs result = inputs;
  for (auto& [name, tensor] : result)
    if (is_real(tensor.dtype))
      tensor = HostTensor::of_reals(DType::f64, tensor.shape, tensor.reals());
  return result;
}

}  // namespace attune
