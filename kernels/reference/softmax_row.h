#pragma once

#include <algorithm>
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

}  // namespace attune::reference
