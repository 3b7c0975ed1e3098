#pragma once

#include <cstdint>

#include "kernels/reference/lanes.h"

namespace attune::reference {

// y(m, j) += sum over k of a(m, k) * b(k, j), for m < rows, k < depth, j < width <= kLanes, where
// a(m, k) = a[m * a_row + k * a_col] and so on. Terms are added to y one after the other in the
// order of k: cutting the depth in pieces, or the rows or the width, changes no bit. y overlaps
// neither a nor b.
template <class T>
struct MultiplyAdd {
  int64_t rows = 0, depth = 0, width = 0;
  const T* a = nullptr;
  int64_t a_row = 0, a_col = 1;
  const T* b = nullptr;
  int64_t b_row = 0;
  T* y = nullptr;
  int64_t y_row = 0;
};

template <class T>
void multiply_add(const MultiplyAdd<T>& p);

// Rows of b that a kernel transposes at a time into a panel on its stack: 4 kB, or 1 kB where all of a
// stack may be 4. Fewer rows take longer (x86-64: 16 take 14 % more) and change no bit.
#ifdef ATTUNE_SMALL_STACK
inline constexpr int64_t kPanelRows = 16;
#else
inline constexpr int64_t kPanelRows = 64;
#endif

template <class T>
struct Panel {
  T data[kPanelRows * kLanes<T>];

  // Row k, lane j becomes b[k + j * b_col], for k < depth <= kPanelRows, j < width.
  void pack(const T* b, int64_t b_col, int64_t depth, int64_t width) {
    for (int64_t j = 0; j < width; ++j)
      for (int64_t k = 0; k < depth; ++k) data[k * kLanes<T> + j] = b[k + j * b_col];
  }
};

// multiply_add for b(k, j) = b[k + j * b_col], of any depth. `b_row` is not used.
template <class T>
void multiply_add_transposed(MultiplyAdd<T> p, int64_t b_col);

}  // namespace attune::reference
