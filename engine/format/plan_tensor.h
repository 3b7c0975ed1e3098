#pragma once

#include "attune/plan.h"
#include "attune/port.h"
#include "attune/tensor.h"
#include "engine/format/plan_generated.h"

namespace attune {

// The tensor that a plan describes, without memory. Only for verified descriptions.
inline Tensor described_tensor(const format::Tensor& t) {
  Tensor tensor;
  tensor.dtype = static_cast<DType>(t.dtype());
  tensor.frozen = t.segment() == format::Segment::constants;
  tensor.moves = t.advance() > 0;
  if (t.shape())
    for (int32_t d : *t.shape()) tensor.shape.dims[tensor.shape.rank++] = d;
  return tensor;
}

template <class T>
std::span<const T> list_of(const flatbuffers::Vector<T>* vector) {
  if (!vector) return {};
  return {vector->data(), vector->size()};
}

inline PortRole role_of(const format::Port& port) { return static_cast<PortRole>(port.role()); }
inline ProgramKind program_kind(const format::Program& program) {
  return static_cast<ProgramKind>(program.kind());
}
inline DType compute_type(const format::Step& step) { return static_cast<DType>(step.compute()); }

// How often a step runs each time its program does.
inline uint64_t runs_of(const format::Program& program, int step) {
  const bool repeated = step >= program.repeat_begin() && step < program.repeat_end();
  return repeated ? static_cast<uint64_t>(program.repeat_count()) : 1;
}

// Calls f(step, repetition) for each time that a step runs, in order.
template <class F>
void each_run(const format::Program& program, F&& f) {
  for (int s = 0; s < program.repeat_begin(); ++s) f(s, 0);
  for (int r = 0; r < program.repeat_count(); ++r)
    for (int s = program.repeat_begin(); s < program.repeat_end(); ++s) f(s, r);
  for (int s = program.repeat_end(); s < static_cast<int>(program.steps()->size()); ++s) f(s, 0);
}

// Of one run of a program.
inline uint64_t total_macs(const format::Program& program) {
  uint64_t macs = 0;
  for (int s = 0; s < static_cast<int>(program.steps()->size()); ++s)
    macs += runs_of(program, s) * program.steps()->Get(static_cast<unsigned>(s))->macs();
  return macs;
}

// Where a tensor's first byte lies in its segment.
inline uint64_t offset_in(const format::Tensor& tensor, int repetition) {
  return tensor.offset() + static_cast<uint64_t>(repetition) * tensor.advance();
}

inline const char* text_of(const flatbuffers::String* string) {
  return string ? string->c_str() : "";
}

}  // namespace attune
