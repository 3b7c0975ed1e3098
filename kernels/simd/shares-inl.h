// How the rows and columns of a matrix product are shared by threads. Included once a target: no
// #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_SHARES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_SHARES_INL_H_
#undef ATTUNE_KERNELS_SIMD_SHARES_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_SHARES_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "kernels/simd/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

// Rows and columns of y.
struct Share {
  int64_t row0, row1, col0, col1;
  int64_t rows() const { return row1 - row0; }
  int64_t cols() const { return col1 - col0; }
};

// What a product is cut along: threads that shared packed operands would wait for each other, and
// for each other's caches, longer than it takes to pack them twice.
struct Cut {
  int64_t row_unit = 1;  // rows between which nobody cuts
  // Rows are cut while there are more than 1 / row_preference as many as columns: what then is
  // packed by everybody is b, of the size of the columns.
  int64_t row_preference = 1;
};
// Of pixels: a thread's rows are the pixels whose neighbours it wrote in the steps before.
inline constexpr int64_t kPixelPreference = 3;

class Shares {
 public:
  Shares(int64_t rows, int64_t cols, const Cut& cut, int64_t threads)
      : rows_(rows), cols_(cols), unit_(cut.row_unit) {
    if (threads < 2) return;
    if (cols <= cut.row_preference * rows) {
      row_parts_ = std::min(threads, row_units());
      col_parts_ = std::min(threads / row_parts_, col_units());
      refine(row_parts_, rows, 2 * cols, threads);
    } else {
      col_parts_ = std::min(threads, col_units());
      row_parts_ = std::min(threads / col_parts_, row_units());
      refine(col_parts_, cols, 4 * rows, threads);
    }
  }
  int64_t count() const { return row_parts_ * col_parts_; }
  Share operator[](int64_t i) const {
    const int64_t row = i / col_parts_, col = i % col_parts_;
    return {row_start(row), row_start(row + 1), col_start(col), col_start(col + 1)};
  }
  // No share has more rows, more columns.
  int64_t most_rows() const {
    return std::min((row_units() + row_parts_ - 1) / row_parts_ * unit_, rows_);
  }
  int64_t most_cols() const {
    return std::min((col_units() + col_parts_ - 1) / col_parts_ * kColUnit, cols_);
  }

 private:
  static constexpr int64_t kColUnit = 16;  // whole vectors, and whole bytes of masks
  // More parts, none of fewer than `least`, even out how fast threads are: where what everybody
  // packs is small beside a part.
  static void refine(int64_t& parts, int64_t size, int64_t least, int64_t threads) {
    constexpr int64_t kPartsPerThread = 4, kLeast = 98;
    while (parts < kPartsPerThread * threads && size / (2 * parts) >= std::max(least, kLeast))
      parts *= 2;
  }
  int64_t row_units() const { return (rows_ + unit_ - 1) / unit_; }
  int64_t col_units() const { return (cols_ + kColUnit - 1) / kColUnit; }
  int64_t row_start(int64_t part) const {
    return std::min(part * row_units() / row_parts_ * unit_, rows_);
  }
  int64_t col_start(int64_t part) const {
    return std::min(part * col_units() / col_parts_ * kColUnit, cols_);
  }
  int64_t rows_, cols_, unit_;
  int64_t row_parts_ = 1, col_parts_ = 1;
};

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
