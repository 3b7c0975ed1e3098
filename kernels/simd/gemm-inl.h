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
#include <type_traits>
#include <utility>

#include "kernels/simd/mask-inl.h"
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
// Tiles of a that are packed at once.
inline constexpr int kTilesAtOnce = kTileRows == 14 ? 2 : 24 / kTileRows;
// Between values of k in a buffer of a that holds column after column.
inline constexpr int kColumnStride = (kTileRows + 3) / 4 * 4;
// Between rows in one that holds row after row: whole lines of the cache.
inline constexpr int kRowStride = (kBlockK + 15) / 16 * 16;
inline constexpr int kTileBuffer = std::max(kBlockK * kColumnStride, kTileRows* kRowStride);
// Packed b is no larger than this unless one block of it is: more would only leave the cache.
inline constexpr int64_t kPackedBytes = 1 << 20;

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
using DHalf = hn::Half<D>;
template <bool kHalf>
using Last = std::conditional_t<kHalf, hn::Vec<DHalf>, V>;

template <bool kHalf>
HWY_INLINE Last<kHalf> load_last(const float* p) {
  if constexpr (kHalf)
    return hn::LoadU(DHalf(), p);
  else
    return load(p);
}
template <bool kHalf>
HWY_INLINE Last<kHalf> zero_last() {
  if constexpr (kHalf)
    return hn::Zero(DHalf());
  else
    return zero();
}
template <bool kHalf>
HWY_INLINE V widen(Last<kHalf> v) {
  if constexpr (kHalf)
    return hn::ZeroExtendVector(D(), v);
  else
    return v;
}

// Sums of one row of the tile: functions over compile-time indices instead of loops, so that the
// sums are single variables to the compiler.
template <int kVectors, bool kHalf>
HWY_INLINE void multiply_row(float a, V b, Last<kHalf> b_last, V& sum, Last<kHalf>& last) {
  if constexpr (kVectors == 1 && kHalf) {  // half a vector takes half as long to fill
    last = hn::MulAdd(hn::Set(DHalf(), a), b_last, last);
  } else {
    const V v = repeat(a);
    if constexpr (kVectors == 2) sum = hn::MulAdd(v, b, sum);
    if constexpr (kHalf)
      last = hn::MulAdd(hn::LowerHalf(DHalf(), v), b_last, last);
    else
      last = hn::MulAdd(v, b_last, last);
  }
}

// What becomes of a row's vectors of sums, of which the last has n elements.
template <bool kPartial, int kVectors>
HWY_INLINE void add_vectors(const float* from, int n, V* sums) {
  if constexpr (kVectors == 2) sums[0] = hn::Add(sums[0], load(from));
  V& last = sums[kVectors - 1];
  last = hn::Add(last, load_some<kPartial>(from + (kVectors - 1) * kLanes, n));
}
template <bool kPartial, int kVectors>
HWY_INLINE void store_vectors(const V* sums, float* to, int n) {
  if constexpr (kVectors == 2) store(sums[0], to);
  store_some<kPartial>(sums[kVectors - 1], to + (kVectors - 1) * kLanes, n);
}
template <int kVectors>
HWY_INLINE void clamp_vectors(V min, V max, V* sums) {
  sums[0] = clamp_vector(sums[0], min, max);
  if constexpr (kVectors == 2) sums[1] = clamp_vector(sums[1], min, max);
}
template <int kVectors>
HWY_INLINE void store_mask(const V* sums, V min, V max, uint8_t* mask) {
  for (int j = 0; j < kVectors; ++j, mask += kLanes / 8)
    hn::StoreMaskBits(D(), hn::And(hn::Gt(sums[j], min), hn::Lt(sums[j], max)), mask);
}

template <bool kPartial, int kVectors>
HWY_INLINE void keep_vectors(const uint8_t* mask, int64_t at, V* sums) {
  for (int j = 0; j < kVectors - 1; ++j, at += kLanes) sums[j] = keep_at<false>(sums[j], mask, at);
  sums[kVectors - 1] = keep_at<kPartial>(sums[kVectors - 1], mask, at);
}
// Adds rows, one after the other.
template <bool kPartial, int kVectors, int... I>
HWY_INLINE void sum_rows(const V* sums, const TileSums& t, int64_t col, int n,
                         std::integer_sequence<int, I...>) {
  V totals[kVectors];
  for (V& total : totals) total = zero();
  if (!t.fresh) add_vectors<kPartial, kVectors>(t.to + col, n, totals);
  for (int j = 0; j < kVectors; ++j)
    ((totals[j] = hn::Add(totals[j], sums[I * kVectors + j])), ...);
  store_vectors<kPartial, kVectors>(totals, t.to + col, n);
}

// Stores the sums of a tile. Each question is asked once, for all rows; kPlain: the answer is no.
template <bool kPlain, bool kPartial, int kVectors, int... I>
HWY_INLINE void finish_tile(V* sums, const Tile& t, std::integer_sequence<int, I...> all) {
  const Epilogue e = *t.epilogue;
  float* const* const rows = t.rows;
  const int64_t col = t.col;
  const int cols = t.cols, n = cols - (kVectors - 1) * kLanes;
  const bool last = !kPlain && t.last;
  if (!t.first) (add_vectors<kPartial, kVectors>(rows[I] + col, n, sums + I * kVectors), ...);
  if (last && e.bias) {
    const V one = load_some < kPartial && kVectors == 1 > (e.bias + col, n);
    ((sums[I * kVectors] = hn::Add(sums[I * kVectors], one)), ...);
    if constexpr (kVectors == 2) {
      const V two = load_some<kPartial>(e.bias + col + kLanes, n);
      ((sums[I * 2 + 1] = hn::Add(sums[I * 2 + 1], two)), ...);
    }
  }
  if (last && e.keep) {
    (keep_vectors<kPartial, kVectors>(e.keep, rows[I] + col - e.y, sums + I * kVectors), ...);
    if (t.sums.to) sum_rows<kPartial, kVectors>(sums, t.sums, col, n, all);
  }
  const V min = repeat(e.min), max = repeat(e.max);
  if (last && e.clamps) (clamp_vectors<kVectors>(min, max, sums + I * kVectors), ...);
  (store_vectors<kPartial, kVectors>(sums + I * kVectors, rows[I] + col, n), ...);
  if (!last || !e.mask) return;
  const auto mask = [=](int row) { return e.mask + (rows[row] + col - e.y) / 8; };
  if constexpr (kPartial || kLanes < 8)
    for (int i = 0; i < static_cast<int>(sizeof...(I)); ++i)
      write_mask(rows[i] + col, cols, e.min, e.max, mask(i));
  else
    (store_mask<kVectors>(sums + I * kVectors, min, max, mask(I)), ...);
}

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

// kVectors: of b used, of the last of which kHalf: its first half.
template <bool kKMajor, int kVectors, bool kHalf, int... I>
HWY_NOINLINE void multiply_panels(const Panels& panels, const Tile& t,
                                  std::integer_sequence<int, I...> rows) {
  const float* HWY_RESTRICT a = panels.a;
  const float* HWY_RESTRICT b = panels.b.at;
  const int64_t a_stride = kKMajor ? panels.a_stride : 1, b_stride = panels.b.stride;
  Ahead first = panels.ahead[0], second = panels.ahead[1];
  constexpr int kRows = sizeof...(I);
  V sums[kRows * kVectors];  // while they are added to, without the last of each row
  Last<kHalf> lasts[kRows];
  ((sums[I * kVectors] = zero(), lasts[I] = zero_last<kHalf>()), ...);
  for (int k = panels.count; k > 0; --k) {
    prefetch(first.at);
    first.at += first.step;
    prefetch(second.at);
    second.at += second.step;
    const V vb = kVectors == 2 ? load(b) : zero();
    const Last<kHalf> last = load_last<kHalf>(b + (kVectors - 1) * kLanes);
    (multiply_row<kVectors, kHalf>(a[kKMajor ? I : I * kRowStride], vb, last, sums[I * kVectors],
                                   lasts[I]),
     ...);
    a += a_stride;
    b += b_stride;
  }
  ((sums[I * kVectors + kVectors - 1] = widen<kHalf>(lasts[I])), ...);
  if (!kHalf && t.cols == kVectors * kLanes)
    finish_tile<kKMajor, false, kVectors>(sums, t, rows);
  else
    finish_tile<kKMajor, true, kVectors>(sums, t, rows);
}

template <bool kKMajor, int kVectors, int... I>
HWY_INLINE void multiply_vectors(const Panels& panels, const Tile& t,
                                 std::integer_sequence<int, I...> rows) {
  if (kHalves && t.cols <= (kVectors - 1) * kLanes + kLanes / 2)
    multiply_panels<kKMajor, kVectors, kHalves>(panels, t, rows);
  else
    multiply_panels<kKMajor, kVectors, false>(panels, t, rows);
}

template <bool kKMajor, int kRows = kTileRows>
HWY_INLINE void multiply_tile(int rows, const Panels& panels, const Tile& t) {
  if (rows == kRows) {
    constexpr std::make_integer_sequence<int, kRows> kIndices;
    if (t.cols > kLanes)
      multiply_vectors<kKMajor, 2>(panels, t, kIndices);
    else
      multiply_vectors<kKMajor, 1>(panels, t, kIndices);
    return;
  }
  if constexpr (kRows > 1) multiply_tile<kKMajor, kRows - 1>(rows, panels, t);
}

inline int64_t padded_cols(int64_t cols) { return (cols + kPanel - 1) / kPanel * kPanel; }

// ---- A share of a thread -----------------------------------------------------------------------

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

// ---- Many rows ---------------------------------------------------------------------------------

// Whether b is a matrix of whole rows, whose panels can be multiplied where they lie.
template <class B>
inline constexpr bool kHasRows = std::is_same_v<B, RowMajorB<MatrixRows>>;
// Where no vector reaches past the end of a row of so many elements.
inline bool has_whole_vectors(int64_t cols) { return cols % (kHalves ? kLanes / 2 : kLanes) == 0; }
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
  if constexpr (!A::kKMajor) ahead.add(a.ahead(next, end));
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

// ---- Long and thin -----------------------------------------------------------------------------

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
