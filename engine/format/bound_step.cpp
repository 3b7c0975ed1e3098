#include "engine/format/bound_step.h"

#include <algorithm>

#include "engine/format/plan_tensor.h"
#include "engine/format/step_check.h"
#include "engine/kernel_choice.h"
#include "kernels/heap_block.h"

namespace attune {

Tensor placed_tensor(const format::Tensor& tensor, const SegmentPlaces& places, int repetition) {
  Tensor placed = described_tensor(tensor);
  const uint64_t offset = offset_in(tensor, repetition);
  switch (tensor.segment()) {
    case format::Segment::constants:
      placed.data = const_cast<std::byte*>(places.constants) + offset;
      break;
    case format::Segment::state:
      placed.data = places.state + offset;
      break;
    case format::Segment::arena:
      placed.data = places.arena + offset;
      break;
    default:
      break;
  }
  return placed;
}

void BoundStep::read(const format::Program& program, int index, const SegmentPlaces& places,
                     int repetition) {
  const format::Step& step = *program.steps()->Get(static_cast<unsigned>(index));
  op = static_cast<Op>(step.op());
  decode_attrs(op, list_of(step.ints()), list_of(step.reals()), attrs_);
  Tensor* next = operands_;
  const auto read_list = [&](std::span<const int32_t> ids, int* count) {
    Tensor* const first = next;
    for (int32_t id : ids)
      *next++ = id < 0 ? Tensor{}
                       : placed_tensor(*program.tensors()->Get(static_cast<unsigned>(id)), places,
                                       repetition);
    *count = static_cast<int>(next - first);
    return first;
  };
  args = {};
  args.attrs = attrs_;
  args.inputs = read_list(list_of(step.inputs()), &args.num_inputs);
  args.outputs = read_list(list_of(step.outputs()), &args.num_outputs);
  args.pool = worth_threads(step.macs(), args) ? all : one;
}

size_t most_operands(const format::Program& program) {
  size_t most = 0;
  for (const format::Step* s : *program.steps())
    most = std::max(most, list_of(s->inputs()).size() + list_of(s->outputs()).size());
  return most;
}

}  // namespace attune
