#include "kernels/reference/multiply_add.h"

#include <algorithm>

namespace attune::reference {
namespace {

// All lanes of kRows rows at once, so that sums stay in registers and each row of b is loaded once
// for all of them.
template <int kRows, class T>
void multiply_full_rows(const MultiplyAdd<T>& p, int64_t m) {
  const T* a = p.a + m * p.a_row;
  T* y = p.y + m * p.y_row;
  Vector<T> sum[kRows][kVectors<T>];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors<T>; ++v)
      sum[r][v] = reinterpret_cast<const Vector<T>*>(y + r * p.y_row)[v];
  for (int64_t k = 0; k < p.depth; ++k) {
    const auto* b = reinterpret_cast<const Vector<T>*>(p.b + k * p.b_row);
    for (int r = 0; r < kRows; ++r) {
      const T factor = a[r * p.a_row + k * p.a_col];
      for (int v = 0; v < kVectors<T>; ++v) sum[r][v] += factor * b[v];
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors<T>; ++v)
      reinterpret_cast<Vector<T>*>(y + r * p.y_row)[v] = sum[r][v];
}

// Fewer lanes.
template <class T>
void multiply_narrow_row(const MultiplyAdd<T>& p, int64_t m) {
  const T* a = p.a + m * p.a_row;
  T* y = p.y + m * p.y_row;
  T sum[kLanes<T>];
  for (int64_t j = 0; j < p.width; ++j) sum[j] = y[j];
  for (int64_t k = 0; k < p.depth; ++k) {
    const T factor = a[k * p.a_col];
    const T* b = p.b + k * p.b_row;
    for (int64_t j = 0; j < p.width; ++j) sum[j] += factor * b[j];
  }
  for (int64_t j = 0; j < p.width; ++j) y[j] = sum[j];
}

}  // namespace

template <class T>
void multiply_add(const MultiplyAdd<T>& p) {
  if (p.width < kLanes<T>) {
    for (int64_t m = 0; m < p.rows; ++m) multiply_narrow_row(p, m);
    return;
  }
  int64_t m = 0;
  for (; m + 2 <= p.rows; m += 2) multiply_full_rows<2>(p, m);
  if (m < p.rows) multiply_full_rows<1>(p, m);
}

template <class T>
void multiply_add_transposed(MultiplyAdd<T> p, int64_t b_col) {
  Panel<T> panel;
  const T* a = p.a;
  const T* b = p.b;
  const int64_t depth = p.depth;
  p.b = panel.data;
  p.b_row = kLanes<T>;
  for (int64_t begin = 0; begin < depth; begin += kPanelRows) {
    p.depth = std::min(kPanelRows, depth - begin);
    panel.pack(b + begin, b_col, p.depth, p.width);
    p.a = a + begin * p.a_col;
    multiply_add(p);
  }
}

template void multiply_add<float>(const MultiplyAdd<float>&);
template void multiply_add<double>(const MultiplyAdd<double>&);
template void multiply_add_transposed<float>(MultiplyAdd<float>, int64_t);
template void multiply_add_transposed<double>(MultiplyAdd<double>, int64_t);

}  // namespace attune::reference
