#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace attune::reference {

// Rows of `width` elements that one thread takes at a time.
inline int64_t row_tile(int64_t width) { return std::max<int64_t>(1, 2048 / width); }

// The largest of width >= 1 elements. A NaN makes itself known in the sum that follows.
template <class T>
T row_max(const T* x, int64_t width) {
  T largest = x[0];
  for (int64_t i = 1; i < width; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// y = softmax(x); y may be null or x. Returns the sum of exp(x - largest).
template <class T>
T softmax_row(const T* x, T largest, int64_t width, T* y) {
  T sum = 0;
  if (!y) {
    for (int64_t i = 0; i < width; ++i) sum += std::exp(x[i] - largest);
    return sum;
  }
  for (int64_t i = 0; i < width; ++i) {
    y[i] = std::exp(x[i] - largest);
    sum += y[i];
  }
  for (int64_t i = 0; i < width; ++i) y[i] /= sum;
  return sum;
}

}  // namespace attune::reference
