#pragma once

#include <cstdint>
#include <initializer_list>

namespace attune {

inline constexpr int kMaxRank = 6;

// Dimensions of a tensor, outermost first, densely packed. Rank 0 is a scalar of one element.
struct Shape {
  int32_t rank = 0;
  int32_t dims[kMaxRank] = {};

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<int32_t> list) {
    for (int32_t d : list) dims[rank++] = d;
  }

  constexpr int32_t operator[](int axis) const { return dims[axis]; }
  constexpr int32_t& operator[](int axis) { return dims[axis]; }
  constexpr int32_t last() const { return rank == 0 ? 1 : dims[rank - 1]; }

  constexpr int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  // Product of dims[from] .. dims[to - 1].
  constexpr int64_t product(int from, int to) const {
    int64_t n = 1;
    for (int i = from; i < to; ++i) n *= dims[i];
    return n;
  }
  constexpr bool operator==(const Shape& other) const {
    if (rank != other.rank) return false;
    for (int i = 0; i < rank; ++i)
      if (dims[i] != other.dims[i]) return false;
    return true;
  }
};

}  // namespace attune
