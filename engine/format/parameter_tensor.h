#pragma once

#include <algorithm>
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

// Calls f(run) for all elements of the whole tensor in the model's order. f returns false to stop.
template <class F>
bool for_each_run(const ParameterTensor& tensor, F&& f) {
  if (tensor.rank == 0) return f(ElementRun{0, 1, 1, true, false});
  const int last = tensor.rank - 1;
  const int64_t count = tensor.dims[last];
  const int32_t* const begin = tensor.slice;
  const int32_t* const end = begin + tensor.channels;
  int64_t index[kMaxRank] = {};
  for (;;) {
    bool trained = true;
    int64_t place = 0;  // of the channel, among those that lie with it
    if (tensor.slice_axis >= 0 && tensor.slice_axis < last) {
      const int64_t at = index[tensor.slice_axis];
      const int32_t* const found = std::lower_bound(begin, end, at);
      trained = found != end && *found == at;
      place = !tensor.narrow ? at : trained ? found - begin : at - (found - begin);
    }
    const auto run = [&](int64_t from, int64_t to, bool on_slice, int64_t first_place) {
      if (from == to) return true;
      const bool frozen = tensor.narrow && !on_slice;
      if (frozen && !tensor.has_frozen) return f(ElementRun{-1, 0, to - from, false, false});
      const int64_t* const stride = frozen ? tensor.frozen_stride : tensor.stride;
      int64_t first = first_place * stride[last];
      for (int axis = 0; axis < last; ++axis)
        first += (axis == tensor.slice_axis ? place : index[axis]) * stride[axis];
      return f(ElementRun{first, stride[last], to - from, on_slice, frozen});
    };
    if (tensor.slice_axis == last) {
      int64_t at = 0;
      for (const int32_t* channel = begin; channel != end; ++channel) {
        const int64_t number = channel - begin;
        if (!run(at, *channel, false, tensor.narrow ? at - number : at) ||
            !run(*channel, *channel + 1, true, tensor.narrow ? number : *channel))
          return false;
        at = *channel + 1;
      }
      if (!run(at, count, false, tensor.narrow ? at - tensor.channels : at)) return false;
    } else if (!run(0, count, trained, 0)) {
      return false;
    }
    int axis = last - 1;
    while (axis >= 0 && ++index[axis] == tensor.dims[axis]) index[axis--] = 0;
    if (axis < 0) return true;
  }
}

}  // namespace attune
