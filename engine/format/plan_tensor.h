#pragma once

#include "attune/plan.h"
#include "attune/port.h"
#include "engine/format/plan_generated.h"
#include "kernels/tensor.h"

namespace attune {

// The tensor that a plan describes, without memory. Only for verified descriptions.
inline Tensor described_tensor(const format::Tensor& t) {
  Tensor tensor;
  tensor.dtype = static_cast<DType>(t.dtype());
  tensor.frozen = t.segment() == format::Segment::constants;
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

inline const char* text_of(const flatbuffers::String* string) {
  return string ? string->c_str() : "";
}

}  // namespace attune
