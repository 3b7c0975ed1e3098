// The matrix product of long and thin operands. Included once a target: no #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_LONG_AND_THIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_LONG_AND_THIN_INL_H_
#undef ATTUNE_KERNELS_SIMD_LONG_AND_THIN_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_LONG_AND_THIN_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "attune/thread_pool.h"
#include "kernels/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

// y[m, n] = sum over k of a[k, m] * b[k, n], of two matrices with so few columns that each row of
// them is used a few times at most: then they are multiplied where they lie, a block of k at a
// time, while the next block is fetched. Patches of one panel are packed, a block at a time.
template <class Rows>
bool is_long_and_thin(int64_t rows, int64_t cols, int64_t depth) {
  const bool few_rows = rows <= 3 * kTileRows && std::is_same_v<Rows, MatrixRows>;
  return depth >= 2 * kBlockK && (cols <= kPanel || few_rows);
}

// Of each thread; gemm_long_and_thin has no gaps between the rows of its matrices.
inline int64_t long_and_thin_floats(int64_t cols) { return kBlockK * padded_cols(cols); }

template <class Rows, class YRow>
void gemm_long_and_thin(const float* a, const RowMajorB<Rows>& b, YRow y_row, int64_t rows,
                        int64_t cols, int64_t depth, float* workspace, ThreadPool& pool) {
  constexpr bool kIsMatrix = std::is_same_v<Rows, MatrixRows>;
  const int64_t panels = padded_cols(cols) / kPanel;
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  const auto tile_start = [=](int64_t tile) { return tile * rows / tiles; };
  // Whole vectors of the last rows may reach past the end of b: fewer than kLanes rows of it.
  const int64_t first_packed = !kIsMatrix                ? 0
                               : has_whole_vectors(cols) ? depth
                                                         : (depth - kLanes) / kBlockK * kBlockK;
  // Every task goes through all of k, with columns or rows of its own.
  const bool splits_cols = panels >= pool.threads();
  const int64_t tasks = std::min<int64_t>(pool.threads(), splits_cols ? panels : tiles);
  const Epilogue epilogue;
  pool.parallel_for(tasks, 1, [&](int64_t task, int64_t) {
    const int64_t p0 = splits_cols ? task * panels / tasks : 0;
    const int64_t p1 = splits_cols ? (task + 1) * panels / tasks : panels;
    const int64_t t0 = splits_cols ? 0 : task * tiles / tasks;
    const int64_t t1 = splits_cols ? tiles : (task + 1) * tiles / tasks;
    float* const packed = workspace + task * long_and_thin_floats(cols);
    for (int64_t k = 0; k < depth; k += kBlockK) {
      const int count = static_cast<int>(std::min<int64_t>(kBlockK, depth - k));
      const auto panel = [&](int64_t p) -> PanelRows {
        if constexpr (kIsMatrix)
          if (k < first_packed) return {b.at(k, p * kPanel), cols};
        return {packed + p * count * kPanel, kPanel};
      };
      if (k >= first_packed) b.pack(packed, k, count, cols);
      // Lines of the next block: those of the task's part of b, then of a.
      const int64_t b_lines = kIsMatrix ? 2 * (p1 - p0) : 0;
      const int64_t next = std::min<int64_t>(kBlockK, depth - k - count);
      int64_t fetched = 0;
      const auto fetch = [&]() -> Ahead {
        const int64_t line = fetched++;
        if constexpr (kIsMatrix)
          if (line < b_lines) {
            const float* from = b.source.data + (k + count) * cols + p0 * kPanel;
            return FetchAhead(from + line * kLine, cols, next).next(count);
          }
        const int64_t m = tile_start(t0) + (line - b_lines) * kLine;
        if (m >= tile_start(t1)) return {};
        return FetchAhead(a + (k + count) * rows + m, rows, next).next(count);
      };
      for (int64_t p = p0; p < p1; ++p) {
        const int tile_cols = static_cast<int>(std::min<int64_t>(kPanel, cols - p * kPanel));
        const PanelRows of_b = panel(p);
        for (int64_t t = t0; t < t1; ++t) {
          float* row_starts[kTileRows];
          const int tile_rows = static_cast<int>(tile_start(t + 1) - tile_start(t));
          for (int i = 0; i < tile_rows; ++i) row_starts[i] = y_row(tile_start(t) + i);
          const Tile tile{row_starts,         p * kPanel, tile_cols,    k == 0,
                          k + count == depth, &epilogue,  {epilogue, 0}};
          const Panels operands{
              a + k * rows + tile_start(t), rows, of_b, count, {fetch(), fetch()}};
          multiply_tile<true>(tile_rows, operands, tile);
        }
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
