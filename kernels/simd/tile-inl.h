// A tile of a matrix product: some rows and two vectors of columns, summed in registers. Included
// once a target: no #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_TILE_INL_H_
#undef ATTUNE_KERNELS_SIMD_TILE_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/simd/mask-inl.h"
#include "kernels/simd/operands-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

// Divides the pixels of images of 14, 28, 56 and 112.
inline constexpr int kBlockK = 196;
// Rows of the tile of sums that stays in registers, two vectors wide.
#if HWY_TARGET == HWY_AVX3
inline constexpr int kTileRows = 14;
#elif HWY_TARGET == HWY_AVX2
inline constexpr int kTileRows = 6;
#elif HWY_ARCH_ARM_A64
inline constexpr int kTileRows = 8;
#else
inline constexpr int kTileRows = 4;
#endif
// Between values of k in a buffer of a that holds column after column.
inline constexpr int kColumnStride = (kTileRows + 3) / 4 * 4;
// Between rows in one that holds row after row: whole lines of the cache.
inline constexpr int kRowStride = (kBlockK + 15) / 16 * 16;
inline constexpr int kTileBuffer = std::max(kBlockK * kColumnStride, kTileRows* kRowStride);

// Applied to a finished sum: adds bias[n] where there is one, then clamps; or keeps a gradient
// where its mask is set.
struct Epilogue {
  const float* bias = nullptr;
  bool clamps = false;
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  // The mask of y to write, or of a gradient to read, where rows start at whole bytes.
  uint8_t* mask = nullptr;
  const uint8_t* keep = nullptr;
  const float* y = nullptr;
  // With `keep`, may be null: sums of blocks of kSumRows rows of y, sum_cols floats apart.
  float* sums = nullptr;
  int64_t sum_cols = 0;
};

// Where the columns of a tile's rows are summed.
struct TileSums {
  float* to = nullptr;  // null: nowhere
  bool fresh = false;   // nothing is there yet
  TileSums(const Epilogue& e, int64_t first_row) {
    if (!e.sums) return;
    to = e.sums + first_row / kSumRows * e.sum_cols;
    fresh = first_row % kSumRows == 0;
  }
};

struct Tile {
  float* const* rows;  // where y's rows start
  int64_t col;
  int cols;
  bool first, last;  // whether this is the first, the last block of k
  const Epilogue* epilogue;
  TileSums sums;
};

// The last vector of a tile's rows where half of it is enough: on processors that have half as many
// lanes as their instructions, it takes half the time.
#if HWY_TARGET == HWY_AVX3
inline constexpr bool kHalves = true;
#else
inline constexpr bool kHalves = false;
#endif
// Where no vector reaches past the end of a row of so many elements.
inline bool has_whole_vectors(int64_t cols) { return cols % (kHalves ? kLanes / 2 : kLanes) == 0; }

// Rows of a panel of b, `stride` floats from one value of k to the next.
struct PanelRows {
  const float* at;
  int64_t stride;
};

// A panel of a, where kKMajor with `stride` between its columns, and one of b, for `count` values
// of k.
struct Panels {
  const float* a;
  int64_t a_stride;
  PanelRows b;
  int count;
  Ahead ahead[2];
};

// Multiplies two panels and finishes with what becomes of their product. In tile.cpp: what it takes
// to compile all kinds of tiles, files that multiply need not take once more.
template <bool kKMajor>
void multiply_tile(int rows, const Panels& panels, const Tile& t);

inline int64_t padded_cols(int64_t cols) { return (cols + kPanel - 1) / kPanel * kPanel; }

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
