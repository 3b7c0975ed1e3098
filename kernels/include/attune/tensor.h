#pragma once

#include <cstddef>

#include "attune/dtype.h"
#include "attune/shape.h"

namespace attune {

// A view of memory that somebody else owns. `data == nullptr` is an optional input or output that
// is absent.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  // True where the bytes never change while the session lives, so that a kernel may pack them once.
  bool frozen = false;
  // True where it lies elsewhere the next time its step runs, so that no kernel may keep `data`.
  bool moves = false;
  Shape shape;

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  size_t bytes() const { return dtype_bytes(dtype, static_cast<size_t>(shape.elements())); }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace attune
