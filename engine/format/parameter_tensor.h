#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "attune/dtype.h"
#include "attune/shape.h"
#include "engine/format/plan_generated.h"

// A plan's parameters as the model has them: how their elements lie in memory, in the order of the
// model's tensors. Checkpoints, parameters by name and export all go by this.
namespace attune {

// A tensor of a parameter: its value, or what the optimizer keeps for it, or its gradient.
struct ParameterTensor {
  const format::Parameter* parameter = nullptr;
  std::string_view name, slot;
  DType dtype = DType::f32;
  size_t state_offset = 0;
  // The model's order is that of these axes, outermost first; `stride` in elements of memory.
  int rank = 0;
  int64_t dims[kMaxRank] = {}, stride[kMaxRank] = {};
  // Only these channels of this axis are trained; -1: all are.
  int slice_axis = -1;
  const int32_t* slice = nullptr;
  int64_t channels = 0;
  bool narrow = false;  // memory holds these channels alone ...
  // ... and the plan's constants the others, from this offset on, in a memory that is as narrow as
  // they are. Of what has no others (an optimizer's state, a gradient) `has_frozen` is false.
  bool has_frozen = false;
  size_t frozen_offset = 0;
  int64_t frozen_stride[kMaxRank] = {};

  int64_t elements() const;  // of the whole tensor
  int64_t trained() const;
  size_t held_bytes() const;  // in memory
};

// Tensors of one parameter: number 0 is its value, the others are the optimizer's.
int tensors_of(const format::Parameter& parameter);
ParameterTensor parameter_tensor(const format::Parameter& parameter, int number);
// As gradients lie in memory, which is not the state: from offset 0.
ParameterTensor gradient_tensor(const format::Parameter& parameter);

// The axis of the model's tensor whose channels are trained; -1: there is none, or the slice is no
// channels of one axis there.
int model_slice_axis(const format::Parameter& parameter);

std::string_view string_of(const flatbuffers::String* text);

// Of the gradients that train_step leaves in the arena; what is that of several parameters, is one.
size_t kept_gradient_bytes(const format::Program& program);

// An element of a real type; it need not be aligned.
inline double real_at(DType dtype, const std::byte* at) {
  if (dtype == DType::f64) {
    double value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  float value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// Neighbours in the model's order: the first is element `first`, and the next ones are `stride`
// apart, in memory or, with `frozen`, among the constants. Where neither holds them, `first` is -1.
struct ElementRun {
  int64_t first, stride, count;
  bool trained, frozen;
};

// Where the first of a run lies; null where it lies nowhere.
inline const std::byte* address_of(const ParameterTensor& tensor, const ElementRun& run,
                                   const std::byte* memory, const std::byte* constants) {
  if (run.first < 0) return nullptr;
  const size_t at = static_cast<size_t>(run.first) * dtype_bytes(tensor.dtype, 1);
  return run.frozen ? constants + tensor.frozen_offset + at : memory + at;
}

// All elements of the whole tensor in the model's order, in runs that are as long as they can be.
class ElementRuns {
 public:
  explicit ElementRuns(const ParameterTensor& tensor) : tensor_(tensor) {}
  bool next(ElementRun* run);  // false: there are no more

 private:
  const ParameterTensor& tensor_;
  int64_t index_[kMaxRank] = {};
  bool done_ = false;
};

// Calls f(run) for each. f returns false to stop.
template <class F>
bool for_each_run(const ParameterTensor& tensor, F&& f) {
  ElementRuns runs(tensor);
  for (ElementRun run; runs.next(&run);)
    if (!f(run)) return false;
  return true;
}

}  // namespace attune
