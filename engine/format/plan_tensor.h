#pragma once

#include "attune/plan.h"
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

inline const char* text_of(const flatbuffers::String* string) {
  return string ? string->c_str() : "";
}

}  // namespace attune
