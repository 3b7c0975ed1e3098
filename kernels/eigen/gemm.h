#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "attune/thread_pool.h"
#include "kernels/eigen/packet.h"

// The one matrix product that convolutions, linear and matmul are made of:
//   y[m, n] = epilogue(sum over k of a[m, k] * b[k, n])
//
// Both operands are packed into panels, b into the workspace by all threads, a by each task on its
// stack. Eigen's own product is not used since it allocates.
//
// Order of summation, a promise: y[m, n] is the sum over blocks of kBlockK values of k, in order,
// of the sum over the block's values, in order. Nothing else has an influence: not the threads, not
// the place of (m, n) in a tile, not how many rows and columns there are.
namespace attune::eigen {

inline constexpr int kBlockK = 128;
// Rows and packets of the tile of sums that stays in registers.
inline constexpr int kTileRows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;
template <class T>
inline constexpr int kTileCols = 2 * kLanes<T>;
// Rows that a task packs at once.
inline constexpr int kTaskRows = 3 * kTileRows;
// Copies of each element in packed a. SSE cannot load one value into all lanes without a shuffle,
// which competes with the arithmetic for ports, so there packing does it.
#if defined(EIGEN_VECTORIZE_SSE) && !defined(EIGEN_VECTORIZE_AVX)
template <class T>
inline constexpr int kCopies = kLanes<T>;
#else
template <class T>
inline constexpr int kCopies = 1;
#endif
// Packed b is no larger than this unless one block of it is: more would only leave the cache.
inline constexpr int64_t kPackedBytes = 1 << 20;

// Applied to a finished sum: adds bias[n] where there is one, then clamps.
template <class T>
struct Epilogue {
  const T* bias = nullptr;
  bool clamps = false;
  T min = -std::numeric_limits<T>::infinity();
  T max = std::numeric_limits<T>::infinity();
};

// ---- Operands --------------------------------------------------------------------------------
//
// A source of rows has
//   template <class F> void runs(int64_t row, int64_t begin, int64_t end, F&& f) const
// which calls f(at, source, length) for consecutive runs of elements [begin, end) of a row, `at`
// counting from `begin`; a null source stands for zeros.

// A dense matrix, or one of its column ranges.
template <class T>
struct MatrixRows {
  const T* data;
  int64_t stride;
  template <class F>
  void runs(int64_t row, int64_t begin, int64_t end, F&& f) const {
    f(int64_t{0}, data + row * stride + begin, end - begin);
  }
};

// Where packed a holds element (row, k) of a panel of `rows` rows.
template <class T>
void put_spread(T* dst, T value) {
  if constexpr (kCopies<T> == 1)
    *dst = value;
  else
    store(dst, repeat(value));
}

// Operand a, row m being a source's row m.
template <class T, class Rows>
struct RowMajorA {
  Rows source;
  void pack(T* dst, int64_t m, int rows, int64_t k, int count) const {
    for (int i = 0; i < rows; ++i) {
      source.runs(m + i, k, k + count, [&](int64_t at, const T* src, int64_t length) {
        T* to = dst + (at * rows + i) * kCopies<T>;
        const int64_t step = int64_t{rows} * kCopies<T>;
        if (src)
          for (int64_t j = 0; j < length; ++j) put_spread(to + j * step, src[j]);
        else
          for (int64_t j = 0; j < length; ++j) put_spread(to + j * step, T(0));
      });
    }
  }
};

// Operand a, a[m, k] = data[k * stride + m].
template <class T>
struct ColMajorA {
  const T* data;
  int64_t stride;
  void pack(T* dst, int64_t m, int rows, int64_t k, int count) const {
    for (int j = 0; j < count; ++j) {
      const T* src = data + (k + j) * stride + m;
      T* to = dst + int64_t{j} * rows * kCopies<T>;
      for (int i = 0; i < rows; ++i) put_spread(to + i * kCopies<T>, src[i]);
    }
  }
};

// Packed b: panels of kTileCols columns, panel p at dst + p * count * kTileCols, row k of it at
// k * kTileCols. Columns past the last are zeros.

// Operand b, row k being a source's row k. Packs rows [begin, end) of the block that starts at k.
template <class T, class Rows>
struct RowMajorB {
  Rows source;
  void pack(T* dst, int64_t k, int count, int64_t cols, int64_t begin, int64_t end) const {
    constexpr int kCols = kTileCols<T>;
    const int64_t panel = int64_t{count} * kCols;
    for (int64_t row = begin; row < end; ++row) {
      T* base = dst + row * kCols;
      source.runs(k + row, 0, cols, [&](int64_t at, const T* src, int64_t length) {
        T* to = base + at / kCols * panel;
        int64_t place = at % kCols;
        while (length > 0) {
          const int64_t n = std::min<int64_t>(kCols - place, length);
          if (n == kCols && src) {
            store(to, load_unaligned(src));
            store(to + kLanes<T>, load_unaligned(src + kLanes<T>));
          } else if (src) {
            for (int64_t j = 0; j < n; ++j) to[place + j] = src[j];
          } else {
            for (int64_t j = 0; j < n; ++j) to[place + j] = T(0);
          }
          if (src) src += n;
          length -= n;
          to += panel;
          place = 0;
        }
      });
      if (cols % kCols != 0) {
        T* to = base + cols / kCols * panel;
        for (int64_t j = cols % kCols; j < kCols; ++j) to[j] = T(0);
      }
    }
  }
  // Work to pack a block is split into this many parts.
  static int64_t parts(int count, int64_t) { return count; }
  static constexpr int64_t kPartsTile = 16;
};

// Operand b, b[k, n] = data[n * stride + k]. Packs panels [begin, end).
template <class T>
struct ColMajorB {
  const T* data;
  int64_t stride;
  void pack(T* dst, int64_t k, int count, int64_t cols, int64_t begin, int64_t end) const {
    constexpr int kCols = kTileCols<T>, kL = kLanes<T>;
    for (int64_t p = begin; p < end; ++p) {
      T* panel = dst + p * count * kCols;
      for (int64_t half = 0; half < kCols; half += kL) {
        const int64_t n = p * kCols + half;
        const T* src = data + n * stride + k;
        T* to = panel + half;
        int j = 0;
        if (n + kL <= cols)
          for (; j + kL <= count; j += kL) transpose_square(src + j, stride, to + j * kCols, kCols);
        for (; j < count; ++j)
          for (int64_t i = 0; i < kL; ++i)
            to[j * kCols + i] = n + i < cols ? src[i * stride + j] : T(0);
      }
    }
  }
  static int64_t parts(int, int64_t cols) { return (cols + kTileCols<T> - 1) / kTileCols<T>; }
  static constexpr int64_t kPartsTile = 2;
};

// ---- The product -----------------------------------------------------------------------------

// One tile of y: its rows start at `rows[i] + col`, of which `cols` columns exist.
template <class T>
struct Tile {
  T* const* rows;
  int64_t col;
  int cols;
  bool first, last;  // whether this is the first, the last block of k
};

template <class T>
T finish(T v, const Epilogue<T>& e, int64_t n) {
  if (e.bias) v += e.bias[n];
  if (e.clamps) v = std::min(std::max(v, e.min), e.max);
  return v;
}

template <class T>
void store_packet(T* y, int64_t n, Packet<T> v, const Tile<T>& t, const Epilogue<T>& e) {
  if (!t.first) v = padd(load_unaligned(y), v);
  if (t.last) {
    if (e.bias) v = padd(v, load_unaligned(e.bias + n));
    if (e.clamps) v = pmin(pmax(v, repeat(e.min)), repeat(e.max));
  }
  store_unaligned(y, v);
}

// Multiplies a packed panel of a, of sizeof...(I) rows, by one of b. The sums are single variables
// to the compiler since I are constants; in a loop it would keep them in memory.
template <class T, int... I>
void multiply_panels(const T* a, const T* b, int count, const Tile<T>& t, const Epilogue<T>& e,
                     std::integer_sequence<int, I...>) {
  constexpr int kRows = sizeof...(I), kL = kLanes<T>;
  Packet<T> sums[2 * kRows];
  ((sums[2 * I] = sums[2 * I + 1] = repeat(T(0))), ...);
  for (int k = 0; k < count; ++k) {
    const Packet<T> b0 = load(b), b1 = load(b + kL);
    (
        [&] {
          Packet<T> v;
          if constexpr (kCopies<T> == 1)
            v = repeat(a[I]);
          else
            v = load(a + I * kCopies<T>);
          sums[2 * I] = padd(sums[2 * I], pmul(v, b0));
          sums[2 * I + 1] = padd(sums[2 * I + 1], pmul(v, b1));
        }(),
        ...);
    a += kRows * kCopies<T>;
    b += 2 * kL;
  }
  if (t.cols == 2 * kL) {
    ((store_packet(t.rows[I] + t.col, t.col, sums[2 * I], t, e),
      store_packet(t.rows[I] + t.col + kL, t.col + kL, sums[2 * I + 1], t, e)),
     ...);
    return;
  }
  alignas(64) T spill[kRows * 2 * kL];
  ((store(spill + 2 * I * kL, sums[2 * I]), store(spill + (2 * I + 1) * kL, sums[2 * I + 1])), ...);
  for (int i = 0; i < kRows; ++i) {
    T* y = t.rows[i] + t.col;
    for (int j = 0; j < t.cols; ++j) {
      T v = spill[i * 2 * kL + j];
      if (!t.first) v = y[j] + v;
      y[j] = t.last ? finish(v, e, t.col + j) : v;
    }
  }
}

template <class T, int kRows = kTileRows>
void multiply_panels(int rows, const T* a, const T* b, int count, const Tile<T>& t,
                     const Epilogue<T>& e) {
  if (rows == kRows)
    return multiply_panels(a, b, count, t, e, std::make_integer_sequence<int, kRows>{});
  if constexpr (kRows > 1) multiply_panels<T, kRows - 1>(rows, a, b, count, t, e);
}

template <class T>
int64_t padded_cols(int64_t cols) {
  return (cols + kTileCols<T> - 1) / kTileCols<T> * kTileCols<T>;
}

// How many blocks of k are packed at once.
template <class T>
int64_t packed_blocks(int64_t cols, int64_t depth) {
  const int64_t blocks = (depth + kBlockK - 1) / kBlockK;
  const int64_t fit = kPackedBytes / (kBlockK * padded_cols<T>(cols) * int64_t{sizeof(T)});
  return std::clamp<int64_t>(fit, 1, std::max<int64_t>(blocks, 1));
}

template <class T>
size_t gemm_workspace_bytes(int64_t cols, int64_t depth) {
  const int64_t rows = std::min(depth, packed_blocks<T>(cols, depth) * kBlockK);
  return static_cast<size_t>(rows * padded_cols<T>(cols)) * sizeof(T);
}

// Overwrites y; y_row(m) is where its row m starts. `depth` > 0. `workspace` has
// gemm_workspace_bytes.
template <class T, class A, class B, class YRow>
void gemm(const A& a, const B& b, YRow y_row, int64_t rows, int64_t cols, int64_t depth,
          const Epilogue<T>& epilogue, T* workspace, ThreadPool& pool) {
  constexpr int kCols = kTileCols<T>;
  const int64_t panels = padded_cols<T>(cols) / kCols;
  const int64_t group = packed_blocks<T>(cols, depth) * kBlockK;
  const int64_t row_tasks = (rows + kTaskRows - 1) / kTaskRows;
  // Few rows are not enough work for all threads: split columns too.
  int64_t strips = 1;
  if (pool.threads() > 1)
    strips = std::clamp<int64_t>(4 * pool.threads() / row_tasks, 1, (panels + 7) / 8);
  const int64_t strip = (panels + strips - 1) / strips;

  for (int64_t k0 = 0; k0 < depth; k0 += group) {
    const int64_t k1 = std::min(k0 + group, depth);
    for (int64_t k = k0; k < k1; k += kBlockK) {
      const int count = static_cast<int>(std::min<int64_t>(kBlockK, k1 - k));
      T* packed = workspace + (k - k0) * panels * kCols;
      pool.parallel_for(b.parts(count, cols), b.kPartsTile, [&](int64_t begin, int64_t end) {
        b.pack(packed, k, count, cols, begin, end);
      });
    }
    pool.parallel_for(row_tasks * strips, 1, [&](int64_t task, int64_t) {
      const int64_t m0 = task / strips * kTaskRows;
      const int task_rows = static_cast<int>(std::min<int64_t>(kTaskRows, rows - m0));
      const int64_t p0 = task % strips * strip, p1 = std::min(p0 + strip, panels);
      if (p0 >= p1) return;
      T* row_starts[kTaskRows];
      for (int i = 0; i < task_rows; ++i) row_starts[i] = y_row(m0 + i);
      alignas(64) T packed_a[kTaskRows * kBlockK * kCopies<T>];
      for (int64_t k = k0; k < k1; k += kBlockK) {
        const int count = static_cast<int>(std::min<int64_t>(kBlockK, k1 - k));
        for (int i = 0; i < task_rows; i += kTileRows)
          a.pack(packed_a + int64_t{i} * count * kCopies<T>, m0 + i,
                 std::min(kTileRows, task_rows - i), k, count);
        const T* packed_b = workspace + (k - k0) * panels * kCols;
        for (int64_t p = p0; p < p1; ++p) {
          const int tile_cols = static_cast<int>(std::min<int64_t>(kCols, cols - p * kCols));
          for (int i = 0; i < task_rows; i += kTileRows) {
            const Tile<T> tile{row_starts + i, p * kCols, tile_cols, k == 0, k + count == depth};
            multiply_panels(std::min(kTileRows, task_rows - i),
                            packed_a + int64_t{i} * count * kCopies<T>,
                            packed_b + p * count * kCols, count, tile, epilogue);
          }
        }
      }
    });
  }
}

}  // namespace attune::eigen
