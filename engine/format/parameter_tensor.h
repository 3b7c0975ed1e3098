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
  bool narrow = false;  // memory holds these channels alone

  int64_t elements() const;  // of the whole tensor
  int64_t trained() const;
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

// Neighbours in the model's order: the first is element `first` of memory, and the next ones are
// `stride` apart. Where memory does not hold them, `first` is -1.
struct ElementRun {
  int64_t first, stride, count;
  bool trained;
};

// Calls f(run) for all elements of the whole tensor in the model's order. f returns false to stop.
template <class F>
bool for_each_run(const ParameterTensor& tensor, F&& f) {
  if (tensor.rank == 0) return f(ElementRun{0, 1, 1, true});
  const int last = tensor.rank - 1;
  const int64_t stride = tensor.stride[last], count = tensor.dims[last];
  const int32_t* const begin = tensor.slice;
  const int32_t* const end = begin + tensor.channels;
  int64_t index[kMaxRank] = {};
  for (;;) {
    int64_t base = 0;
    bool trained = true;
    for (int axis = 0; axis < last; ++axis) {
      int64_t at = index[axis];
      if (axis == tensor.slice_axis) {
        const int32_t* const found = std::lower_bound(begin, end, at);
        trained = found != end && *found == at;
        if (tensor.narrow) at = found - begin;
      }
      base += at * tensor.stride[axis];
    }
    const auto run = [&](int64_t from, int64_t to, bool on_slice, int64_t place) {
      const bool held = on_slice || !tensor.narrow;
      return from == to ||
             f(ElementRun{held ? base + place * stride : -1, stride, to - from, on_slice});
    };
    if (tensor.slice_axis == last) {
      int64_t at = 0;
      for (const int32_t* channel = begin; channel != end; ++channel) {
        const int64_t place = tensor.narrow ? channel - begin : *channel;
        if (!run(at, *channel, false, at) || !run(*channel, *channel + 1, true, place))
          return false;
        at = *channel + 1;
      }
      if (!run(at, count, false, at)) return false;
    } else if (!run(0, count, trained, 0)) {
      return false;
    }
    int axis = last - 1;
    while (axis >= 0 && ++index[axis] == tensor.dims[axis]) index[axis--] = 0;
    if (axis < 0) return true;
  }
}

}  // namespace attune
