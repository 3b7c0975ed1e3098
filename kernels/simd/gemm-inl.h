// The one matrix product that convolutions, linear and matmul are made of. Included once a target:
// no #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_GEMM_INL_H_
#undef ATTUNE_KERNELS_SIMD_GEMM_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_GEMM_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "kernels/simd/operands-inl.h"
#include "kernels/thread_pool.h"

//   y[m, n] = epilogue(sum over k of a[m, k] * b[k, n])
//
// Order of summation, a promise: y[m, n] is the sum over blocks of kBlockK values of k, in order,
// of the sum over the block's values, in order. Nothing else has an influence: not the threads, not
// the place of (m, n) in a tile, not how many rows and columns there are.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

inline constexpr int kBlockK = 192;
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
// Tiles that a task packs at once.
inline constexpr int kTaskTiles = kTileRows == 14 ? 2 : 24 / kTileRows;
// Between values of k in a buffer of a that holds column after column.
inline constexpr int kColumnStride = (kTileRows + 3) / 4 * 4;
inline constexpr int kTileBuffer = kBlockK * kColumnStride;
// Packed b is no larger than this unless one block of it is: more would only leave the cache.
inline constexpr int64_t kPackedBytes = 1 << 20;

// Applied to a finished sum: adds bias[n] where there is one, then clamps.
struct Epilogue {
  const float* bias = nullptr;
  bool clamps = false;
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  // The mask of y, where rows start at whole bytes.
  uint8_t* mask = nullptr;
  const float* y = nullptr;
  // y is stored transposed: element (m, n) at row(m) + n * col_stride, and bias[m] is added.
  bool transposed = false;
  int64_t col_stride = 1;
};

struct Tile {
  float* const* rows;  // where y's rows start
  int64_t row;         // number of the first
  int64_t col;
  int cols;
  bool first, last;  // whether this is the first, the last block of k
  const Epilogue* epilogue;
};

// Stores a vector of sums at y, column n of a row.
HWY_INLINE void finish_vector(V v, float* y, int64_t n, const Tile& t) {
  const Epilogue& e = *t.epilogue;
  if (!t.first) v = hn::Add(load(y), v);
  if (t.last) {
    if (e.bias) v = hn::Add(v, load(e.bias + n));
    if (e.clamps) v = clamp_vector(v, repeat(e.min), repeat(e.max));
  }
  store(v, y);
}

// What a row of a tile has left to do once the first `cols` sums of it are in `sums`.
HWY_INLINE void finish_partial_row(const float* sums, float* y, const Tile& t) {
  const Epilogue& e = *t.epilogue;
  for (int j = 0; j < t.cols; j += kLanes) {
    const int n = std::min(kLanes, t.cols - j);
    if (n == kLanes) {
      finish_vector(load(sums + j), y + j, t.col + j, t);
      continue;
    }
    V v = load(sums + j);
    if (!t.first) v = hn::Add(load_partial(y + j, n), v);
    if (t.last) {
      if (e.bias) v = hn::Add(v, load_partial(e.bias + t.col + j, n));
      if (e.clamps) v = clamp_vector(v, repeat(e.min), repeat(e.max));
    }
    store_partial(v, y + j, n);
  }
}

inline void finish_transposed(const float* sums, int sums_stride, int rows, const Tile& t) {
  const Epilogue& e = *t.epilogue;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < t.cols; ++j) {
      float v = sums[i * sums_stride + j];
      float& y = t.rows[i][(t.col + j) * e.col_stride];
      if (!t.first) v = y + v;
      if (t.last) {
        if (e.bias) v += e.bias[t.row + i];
        if (e.clamps) v = std::min(std::max(v, e.min), e.max);
      }
      y = v;
    }
  }
}

// Sums of one row of the tile: functions over compile-time indices instead of loops, so that the
// sums are single variables to the compiler.
template <int kVectors>
HWY_INLINE void multiply_row(float a, const V* b, V* sums) {
  const V v = repeat(a);
  sums[0] = hn::MulAdd(v, b[0], sums[0]);
  if constexpr (kVectors == 2) sums[1] = hn::MulAdd(v, b[1], sums[1]);
}

template <int kVectors>
HWY_INLINE void finish_row(const V* sums, float* y, const Tile& t) {
  finish_vector(sums[0], y + t.col, t.col, t);
  if constexpr (kVectors == 2) finish_vector(sums[1], y + t.col + kLanes, t.col + kLanes, t);
}

template <int kVectors>
HWY_INLINE void spill_row(const V* sums, float* to) {
  hn::Store(sums[0], D(), to);
  if constexpr (kVectors == 2) hn::Store(sums[1], D(), to + kLanes);
}

// Multiplies a packed panel of a by one of b, `b_stride` between its rows. kVectors: of b used.
template <bool kKMajor, int kVectors, int... I>
HWY_NOINLINE void multiply_panels(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b,
                                  int64_t b_stride, int count, const Tile& t,
                                  std::integer_sequence<int, I...>) {
  constexpr int kRows = sizeof...(I);
  V sums[kRows * kVectors];
  (((sums[I * kVectors] = zero()), (sums[I * kVectors + kVectors - 1] = zero())), ...);
  for (int k = 0; k < count; ++k) {
    V vb[kVectors];
    vb[0] = load(b);
    if constexpr (kVectors == 2) vb[1] = load(b + kLanes);
    (multiply_row<kVectors>(a[kKMajor ? I : I * kBlockK], vb, sums + I * kVectors), ...);
    a += kKMajor ? kColumnStride : 1;
    b += b_stride;
  }
  const Epilogue& e = *t.epilogue;
  if (t.cols == kVectors * kLanes && !e.transposed) {
    (finish_row<kVectors>(sums + I * kVectors, t.rows[I], t), ...);
  } else {
    HWY_ALIGN float spill[kRows * kVectors * kLanes];
    (spill_row<kVectors>(sums + I * kVectors, spill + I * kVectors * kLanes), ...);
    if (e.transposed) {
      finish_transposed(spill, kVectors * kLanes, kRows, t);
      return;
    }
    for (int i = 0; i < kRows; ++i)
      finish_partial_row(spill + i * kVectors * kLanes, t.rows[i] + t.col, t);
  }
  if (e.mask && t.last)
    for (int i = 0; i < kRows; ++i) {
      const float* y = t.rows[i] + t.col;
      write_mask(y, t.cols, e.min, e.max, e.mask + (y - e.y) / 8);
    }
}

template <bool kKMajor, int kRows = kTileRows>
HWY_INLINE void multiply_tile(int rows, const float* a, const float* b, int64_t b_stride, int count,
                              const Tile& t) {
  if (rows == kRows) {
    constexpr std::make_integer_sequence<int, kRows> kIndices;
    if (t.cols > kLanes)
      multiply_panels<kKMajor, 2>(a, b, b_stride, count, t, kIndices);
    else
      multiply_panels<kKMajor, 1>(a, b, b_stride, count, t, kIndices);
    return;
  }
  if constexpr (kRows > 1) multiply_tile<kKMajor, kRows - 1>(rows, a, b, b_stride, count, t);
}

inline int64_t padded_cols(int64_t cols) { return (cols + kPanel - 1) / kPanel * kPanel; }

// How many blocks of k are packed at once.
inline int64_t packed_blocks(int64_t cols, int64_t depth) {
  const int64_t blocks = (depth + kBlockK - 1) / kBlockK;
  const int64_t fit = kPackedBytes / (kBlockK * padded_cols(cols) * int64_t{sizeof(float)});
  return std::clamp<int64_t>(fit, 1, std::max<int64_t>(blocks, 1));
}

inline size_t gemm_workspace_bytes(int64_t cols, int64_t depth) {
  const int64_t rows = std::min(depth, packed_blocks(cols, depth) * kBlockK);
  return static_cast<size_t>(rows * padded_cols(cols)) * sizeof(float);
}

// Overwrites y; y_row(m) is where its row m starts. `depth` > 0. `workspace` has
// gemm_workspace_bytes.
template <class A, class B, class YRow>
void gemm(const A& a, const B& b, YRow y_row, int64_t rows, int64_t cols, int64_t depth,
          const Epilogue& epilogue, float* workspace, ThreadPool& pool) {
  const int64_t panels = padded_cols(cols) / kPanel;
  const int64_t group = packed_blocks(cols, depth) * kBlockK;
  // All tiles have nearly as many rows: 49 are 13 + 12 + 12 + 12.
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t row_tasks = (tiles + kTaskTiles - 1) / kTaskTiles;
  // Few rows are not enough work for all threads: split columns too.
  int64_t strips = 1;
  if (pool.threads() > 1)
    strips = std::clamp<int64_t>(4 * pool.threads() / row_tasks, 1, (panels + 3) / 4);
  const int64_t strip = (panels + strips - 1) / strips;

  for (int64_t k0 = 0; k0 < depth; k0 += group) {
    const int64_t k1 = std::min(k0 + group, depth);
    for (int64_t k = k0; k < k1; k += kBlockK) {
      const int count = static_cast<int>(std::min<int64_t>(kBlockK, k1 - k));
      float* packed = workspace + (k - k0) * panels * kPanel;
      pool.parallel_for(b.parts(count, cols), b.kPartsTile, [&](int64_t begin, int64_t end) {
        b.pack(packed, k, count, cols, begin, end);
      });
    }
    pool.parallel_for(row_tasks * strips, 1, [&](int64_t task, int64_t) {
      const int64_t t0 = task / strips * kTaskTiles;
      const int task_tiles = static_cast<int>(std::min<int64_t>(kTaskTiles, tiles - t0));
      const int64_t p0 = task % strips * strip, p1 = std::min(p0 + strip, panels);
      if (p0 >= p1) return;
      int64_t starts[kTaskTiles + 1];
      for (int i = 0; i <= task_tiles; ++i) starts[i] = (t0 + i) * rows / tiles;
      float* row_starts[kTaskTiles * kTileRows];
      for (int64_t m = starts[0]; m < starts[task_tiles]; ++m) row_starts[m - starts[0]] = y_row(m);
      alignas(64) float packed_a[kTaskTiles * kTileBuffer];
      for (int64_t k = k0; k < k1; k += kBlockK) {
        const int count = static_cast<int>(std::min<int64_t>(kBlockK, k1 - k));
        for (int i = 0; i < task_tiles; ++i)
          a.template pack<A::kKMajor ? kColumnStride : kBlockK>(
              packed_a + i * kTileBuffer, starts[i], static_cast<int>(starts[i + 1] - starts[i]), k,
              count);
        const float* packed_b = workspace + (k - k0) * panels * kPanel;
        for (int64_t p = p0; p < p1; ++p) {
          const int tile_cols = static_cast<int>(std::min<int64_t>(kPanel, cols - p * kPanel));
          for (int i = 0; i < task_tiles; ++i) {
            const Tile tile{row_starts + (starts[i] - starts[0]),
                            starts[i],
                            p * kPanel,
                            tile_cols,
                            k == 0,
                            k + count == depth,
                            &epilogue};
            multiply_tile<A::kKMajor>(static_cast<int>(starts[i + 1] - starts[i]),
                                      packed_a + i * kTileBuffer, packed_b + p * count * kPanel,
                                      kPanel, count, tile);
          }
        }
      }
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
