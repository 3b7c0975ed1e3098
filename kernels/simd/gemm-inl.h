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
#include <type_traits>

#include "attune/thread_pool.h"
#include "kernels/simd/shares-inl.h"
#include "kernels/simd/tile-inl.h"

//   y[m, n] = epilogue(sum over k of a[m, k] * b[k, n])
//
// Order of summation, a promise: y[m, n] is the sum over blocks of kBlockK values of k, in order,
// of the sum over the block's values, in order. Nothing else has an influence: not the threads, not
// the place of (m, n) in a tile, not how many rows and columns there are.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

// ---- Many rows ---------------------------------------------------------------------------------

// Tiles of a that are packed at once.
inline constexpr int kTilesAtOnce = kTileRows == 14 ? 2 : 24 / kTileRows;
// Packed b is no larger than this unless one block of it is: more would only leave the cache.
inline constexpr int64_t kPackedBytes = 1 << 20;
// Whether b is a matrix of whole rows, whose panels can be multiplied where they lie.
template <class B>
inline constexpr bool kHasRows = std::is_same_v<B, RowMajorB<MatrixRows>>;
// Rows of y, at most, for which packing b takes longer than reading its rows far apart.
inline constexpr int64_t kInPlaceRows = 256;

// How many blocks of k are packed at once. Where a holds columns, every tile reads a part of each
// of its rows: the group's rows stay in the cache until all tiles have.
inline int64_t packed_blocks(int64_t cols, int64_t depth, int64_t a_cols) {
  const int64_t blocks = (depth + kBlockK - 1) / kBlockK;
  const int64_t fit =
      kPackedBytes / (kBlockK * (padded_cols(cols) + a_cols) * int64_t{sizeof(float)});
  return std::clamp<int64_t>(fit, 1, std::max<int64_t>(blocks, 1));
}

// Rows cut into blocks of `block`, of which the last may be smaller, and these into tiles of nearly
// as many rows: 49 are 13 + 12 + 12 + 12.
class RowTiles {
 public:
  RowTiles(int64_t rows, int64_t block)
      : block_(block), whole_(rows / block), of_block_(block), of_rest_(rows - whole_ * block) {}
  int64_t count() const { return whole_ * of_block_.count + of_rest_.count; }
  // The first row of a tile; all rows at the end.
  int64_t start(int64_t tile) const {
    const int64_t rest = tile - whole_ * of_block_.count;
    if (rest >= 0) return whole_ * block_ + of_rest_.start(rest);
    const int64_t block = whole_ == 1 ? 0 : tile / of_block_.count;
    return block * block_ + of_block_.start(tile - block * of_block_.count);
  }

 private:
  // Tiles of `size` rows, the first ones of one more.
  struct Tiles {
    int64_t count, size, larger;
    explicit Tiles(int64_t rows)
        : count((rows + kTileRows - 1) / kTileRows),
          size(rows / std::max<int64_t>(count, 1)),
          larger(rows - count * size) {}
    int64_t start(int64_t tile) const { return tile * size + std::min(tile, larger); }
  };
  int64_t block_, whole_;
  Tiles of_block_, of_rest_;
};

// What a share writes to rows [begin, end) of y, where these follow each other in memory.
template <class YRow>
FetchAhead rows_ahead(YRow y_row, int64_t begin, int64_t end, const Share& share) {
  float* const first = y_row(begin);
  if (y_row(end - 1) != first + (end - 1 - begin) * share.cols()) return {};
  return FetchAhead::region(first, (end - begin) * share.cols());
}

// Some tiles, for a group of blocks of k from k0 to k1. panel_b(k, block, p) gives the PanelRows of
// panel p for a block of k.
template <class A, class PanelB, class YRow>
void multiply_tiles(const A& a, PanelB panel_b, YRow y_row, const Share& share,
                    const RowTiles& tiles, int64_t t0, int count, int64_t k0, int64_t k1,
                    int64_t depth, const Epilogue& epilogue) {
  int64_t starts[kTilesAtOnce + 1];
  for (int i = 0; i <= count; ++i) starts[i] = share.row0 + tiles.start(t0 + i);
  float* rows[kTilesAtOnce * kTileRows];
  for (int64_t m = starts[0]; m < starts[count]; ++m) rows[m - starts[0]] = y_row(m) + share.col0;
  FetchList ahead;
  const int64_t next = starts[count];
  const int64_t end = share.row0 + tiles.start(std::min(t0 + 2 * kTilesAtOnce, tiles.count()));
  if constexpr (!A::kKMajor)
    ahead.add(a.ahead(next, end));
  else if (next < end)
    a.ahead(next, end, k0, k1, ahead);
  else  // the first tiles of the next group
    a.ahead(share.row0, share.row0 + tiles.start(std::min<int64_t>(kTilesAtOnce, tiles.count())),
            k1, std::min(2 * k1 - k0, depth), ahead);
  if (k0 == 0 && next < end) ahead.add(rows_ahead(y_row, next, end, share));
  const int64_t cols = share.cols(), panels = padded_cols(cols) / kPanel;
  alignas(64) float packed_a[kTilesAtOnce * kTileBuffer];
  for (int64_t k = k0; k < k1; k += kBlockK) {
    const int block = static_cast<int>(std::min<int64_t>(kBlockK, k1 - k));
    for (int i = 0; i < count; ++i)
      a.template pack<A::kKMajor ? kColumnStride : kRowStride>(
          packed_a + i * kTileBuffer, starts[i], static_cast<int>(starts[i + 1] - starts[i]), k,
          block);
    for (int64_t p = 0; p < panels; ++p) {
      const PanelRows b = panel_b(k, block, p);
      const int tile_cols = static_cast<int>(std::min<int64_t>(kPanel, cols - p * kPanel));
      for (int i = 0; i < count; ++i) {
        const Tile tile{rows + (starts[i] - starts[0]),
                        p * kPanel,
                        tile_cols,
                        k == 0,
                        k + block == depth,
                        &epilogue,
                        {epilogue, starts[i]}};
        const Panels operands{packed_a + i * kTileBuffer,
                              kColumnStride,
                              b,
                              block,
                              {ahead.next(block), ahead.next(block)}};
        multiply_tile<A::kKMajor>(static_cast<int>(starts[i + 1] - starts[i]), operands, tile);
      }
    }
  }
}

template <class A, class B, class YRow>
void multiply_many_rows(const A& a, const B& b, YRow y_row, const Share& share, int64_t depth,
                        int64_t group, const Epilogue& epilogue, float* workspace) {
  // No tile reaches across a block of sums.
  const RowTiles tiles(share.rows(), epilogue.sums ? kSumRows : share.rows());
  const int64_t padded = padded_cols(share.cols());
  const bool in_place =
      kHasRows<B> && share.rows() <= kInPlaceRows && has_whole_vectors(share.cols());
  for (int64_t k0 = 0; k0 < depth; k0 += group) {
    const int64_t k1 = std::min(k0 + group, depth);
    if (!in_place)
      for (int64_t k = k0; k < k1; k += kBlockK)
        b.pack(workspace + (k - k0) * padded, k,
               static_cast<int>(std::min<int64_t>(kBlockK, k1 - k)), share.cols());
    const auto panel_b = [&](int64_t k, int block, int64_t p) -> PanelRows {
      if constexpr (kHasRows<B>)
        if (in_place) return {b.at(k, p * kPanel), b.source.stride};
      return {workspace + (k - k0) * padded + p * block * kPanel, kPanel};
    };
    for (int64_t t = 0; t < tiles.count(); t += kTilesAtOnce)
      multiply_tiles(a, panel_b, y_row, share, tiles, t,
                     static_cast<int>(std::min<int64_t>(kTilesAtOnce, tiles.count() - t)), k0, k1,
                     depth, epilogue);
  }
}

// ---- Few rows ----------------------------------------------------------------------------------

// With few rows most of the work is to bring b here. Each panel of it is multiplied with all rows
// and forgotten, while the next one is fetched: where it lies, or from the cache next to the
// processor, where it was packed.

inline constexpr int64_t kFewRowsBytes = 512 << 10;   // of a, at most
inline constexpr int64_t kManyColsBytes = 320 << 10;  // of b, at least

template <class A>
bool has_few_rows(int64_t rows, int64_t cols, int64_t depth) {
  return A::kIsMatrix && rows * depth * int64_t{sizeof(float)} <= kFewRowsBytes &&
         cols * depth * int64_t{sizeof(float)} >= kManyColsBytes;
}

inline int64_t few_rows_floats(int64_t rows, int64_t depth) {
  const int64_t tiles = RowTiles(rows, kSumRows).count();
  const int64_t blocks = (depth + kBlockK - 1) / kBlockK;
  return tiles * blocks * kTileBuffer;
}

template <class A, class B, class YRow>
void multiply_few_rows(const A& a, const B& b, YRow y_row, const Share& share, int64_t depth,
                       const Epilogue& epilogue, float* workspace) {
  const int64_t cols = share.cols(), rows = share.rows();
  const RowTiles row_tiles(rows, kSumRows);
  const int64_t tiles = row_tiles.count();
  const int64_t blocks = (depth + kBlockK - 1) / kBlockK;
  const auto tile_start = [&](int64_t tile) { return share.row0 + row_tiles.start(tile); };
  const auto tile_rows = [&](int64_t tile) {
    return static_cast<int>(tile_start(tile + 1) - tile_start(tile));
  };
  const auto packed_a = [=](int64_t tile, int64_t block) {
    return workspace + (block * tiles + tile) * kTileBuffer;
  };
  const auto block_count = [=](int64_t block) {
    return static_cast<int>(std::min<int64_t>(kBlockK, depth - block * kBlockK));
  };
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t t = 0; t < tiles; ++t)
      a.template pack<kRowStride>(packed_a(t, block), tile_start(t), tile_rows(t), block * kBlockK,
                                  block_count(block));
  const bool in_place = kHasRows<B> && rows <= kInPlaceRows && has_whole_vectors(cols);
  for (int64_t col = 0; col < cols; col += kPanel) {
    const int tile_cols = static_cast<int>(std::min<int64_t>(kPanel, cols - col));
    FetchList ahead;
    if (col + 2 * kPanel <= cols) {
      b.panel_ahead(col + kPanel, depth, ahead);
      // What the next panel's tiles write.
      float* const next = y_row(share.row0) + share.col0 + col + kPanel;
      const int64_t step = rows > 1 ? y_row(share.row0 + 1) - y_row(share.row0) : 0;
      ahead.add({next, step, rows});
      ahead.add({next + kLine, step, rows});
    }
    alignas(64) float packed_b[kBlockK * kPanel];
    for (int64_t block = 0; block < blocks; ++block) {
      const int count = block_count(block);
      PanelRows panel{packed_b, kPanel};
      if constexpr (kHasRows<B>)
        if (in_place) panel = {b.at(block * kBlockK, col), b.source.stride};
      if (!in_place) b.pack_panel(packed_b, block * kBlockK, count, cols, col);
      for (int64_t t = 0; t < tiles; ++t) {
        float* row_starts[kTileRows];
        for (int i = 0; i < tile_rows(t); ++i)
          row_starts[i] = y_row(tile_start(t) + i) + share.col0;
        const Tile tile{row_starts,
                        col,
                        tile_cols,
                        block == 0,
                        block + 1 == blocks,
                        &epilogue,
                        {epilogue, tile_start(t)}};
        const Panels operands{
            packed_a(t, block), 1, panel, count, {ahead.next(count), ahead.next(count)}};
        multiply_tile<false>(tile_rows(t), operands, tile);
      }
    }
  }
}

// ---- The product -------------------------------------------------------------------------------

// How shares are computed, all in the same way.
template <class A>
struct Method {
  bool few_rows;
  int64_t group = 0;  // values of k at once, where there are many rows
  int64_t floats;     // of workspace, each
  Method(const Shares& shares, int64_t all_cols, int64_t depth) {
    const int64_t rows = shares.most_rows(), cols = shares.most_cols();
    few_rows = has_few_rows<A>(rows, all_cols, depth);
    if (!few_rows) group = packed_blocks(cols, depth, A::kKMajor ? rows : 0) * kBlockK;
    floats = few_rows ? few_rows_floats(rows, depth) : std::min(depth, group) * padded_cols(cols);
  }
};

template <class A>
size_t gemm_workspace_bytes(int64_t rows, int64_t cols, int64_t depth, const Cut& cut,
                            int64_t threads) {
  const Shares shares(rows, cols, cut, threads);
  return static_cast<size_t>(shares.count() * Method<A>(shares, cols, depth).floats) *
         sizeof(float);
}

// Overwrites y; y_row(m) is where its row m starts. `depth` > 0. A product whose a holds columns
// has no epilogue. `workspace` has gemm_workspace_bytes. With sums, `cut.row_unit` is kSumRows.
template <class A, class B, class YRow>
void gemm(const A& a, const B& b, YRow y_row, int64_t rows, int64_t cols, int64_t depth,
          const Epilogue& epilogue, const Cut& cut, float* workspace, ThreadPool& pool) {
  const Shares shares(rows, cols, cut, pool.threads());
  const Method<A> method(shares, cols, depth);
  pool.parallel_for(shares.count(), 1, [&](int64_t i, int64_t) {
    const Share share = shares[i];
    if (share.rows() == 0 || share.cols() == 0) return;
    Epilogue of_share = epilogue;
    if (epilogue.bias) of_share.bias += share.col0;
    if (epilogue.sums) of_share.sums += share.col0;
    const B columns = b.from_column(share.col0);
    float* const own = workspace + i * method.floats;
    if constexpr (A::kIsMatrix)
      if (method.few_rows) return multiply_few_rows(a, columns, y_row, share, depth, of_share, own);
    multiply_many_rows(a, columns, y_row, share, depth, method.group, of_share, own);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
