#pragma once

#include <cstddef>

#include "attune/plan.h"
#include "attune/thread_pool.h"
#include "engine/format/plan_generated.h"
#include "kernels/attrs.h"
#include "kernels/kernel.h"

namespace attune {

// Where the segments of a plan lie; stand-ins while there is no memory yet.
struct SegmentPlaces {
  const std::byte* constants = nullptr;
  std::byte* state = nullptr;
  std::byte* arena = nullptr;
};

// A tensor of a plan in its place. Only for verified descriptions.
Tensor placed_tensor(const format::Tensor& tensor, const SegmentPlaces& places, int repetition = 0);

// Room for one step of a plan as its kernel is called. Steps are read from the plan's table one
// after the other, when they run: a session would hold hundreds of bytes for each otherwise, and a
// plan in strips has a thousand steps.
class BoundStep {
 public:
  // Reads operands to `room`, which must have the most that a step has.
  explicit BoundStep(Tensor* room = nullptr) : operands_(room) {}
  // Operands, attributes and the pool of step `index`; not what its kernel was given.
  void read(const format::Program& program, int index, const SegmentPlaces& places,
            int repetition = 0);

  Op op = Op::reshape;
  KernelArgs args;
  ThreadPool *all = nullptr, *one = nullptr;  // for steps that are worth threads, and others

 private:
  Tensor* operands_;
  alignas(16) std::byte attrs_[kMaxAttrsBytes];
};

// The most operands that a step of a program has.
size_t most_operands(const format::Program& program);

}  // namespace attune
