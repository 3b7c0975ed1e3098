#include "kernels/reference/multiply_add.h"

#include <algorithm>

namespace attune::reference {
namespace {

// kRows rows at once, so that each row of b is loaded once for all of them.
template <int kRows, class T, class Width>
void multiply_rows(const MultiplyAdd<T>& p, int64_t m, Width width) {
  const T* a = p.a + m * p.a_row;
  T* y = p.y + m * p.y_row;
  T sum[kRows][kLanes<T>];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < width; ++j) sum[r][j] = y[r * p.y_row + j];
  for (int64_t k = 0; k < p.depth; ++k) {
    const T* b = p.b + k * p.b_row;
    for (int r = 0; r < kRows; ++r) {
      const T factor = a[r * p.a_row + k * p.a_col];
      for (int j = 0; j < width; ++j) sum[r][j] += factor * b[j];
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < width; ++j) y[r * p.y_row + j] = sum[r][j];
}

}  // namespace

template <class T>
void multiply_add(const MultiplyAdd<T>& p) {
  with_width<T>(p.width, [&](auto width) {
    int64_t m = 0;
    for (; m + 2 <= p.rows; m += 2) multiply_rows<2>(p, m, width);
    if (m < p.rows) multiply_rows<1>(p, m, width);
  });
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
