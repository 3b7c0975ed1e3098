// The mask of a clamp's gradient, and the sums that go with it. Included once a target: no #pragma
// once.
#if defined(ATTUNE_KERNELS_SIMD_MASK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_MASK_INL_H_
#undef ATTUNE_KERNELS_SIMD_MASK_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_MASK_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/simd/vector-inl.h"

// dx = mask ? dy : 0, where dx may be dy; a masked NaN is 0 too. Sums of columns are those of
// blocks of rows, in order.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

// The vector's first bits of `bits`.
HWY_INLINE V keep(V v, uint64_t bits) {
  // LoadMaskBits may read eight bytes.
  uint8_t bytes[8];
  for (int b = 0; b < 8; ++b) bytes[b] = static_cast<uint8_t>(bits >> 8 * b);
  return hn::IfThenElseZero(hn::LoadMaskBits(D(), bytes), v);
}

// The first kBits bits of a mask.
template <int kBits>
HWY_INLINE uint64_t load_bits(const uint8_t* mask) {
  uint64_t bits = 0;
  std::memcpy(&bits, mask, kBits / 8);
#if HWY_IS_BIG_ENDIAN
  bits = __builtin_bswap64(bits);
#endif
  return bits;
}

// v, the elements `at` .. of memory, where their bits are set. Those of a partial vector are a
// byte.
template <bool kPartial>
HWY_INLINE V keep_at(V v, const uint8_t* mask, int64_t at) {
  constexpr int kBits = kPartial || kLanes < 8 ? 8 : kLanes;
  return keep(v, load_bits<kBits>(mask + at / 8) >> at % 8);
}

// Elements in memory's order; `mask` starts with the first one's bit.
inline void mask_elements(const float* dy, const uint8_t* mask, float* dx, int64_t n) {
  int64_t i = 0;
  for (; i + 64 <= n; i += 64, mask += 8) {
    const uint64_t bits = load_bits<64>(mask);
    for (int j = 0; j < 64; j += kLanes) store(keep(load(dy + i + j), bits >> j), dx + i + j);
  }
  for (int64_t j = 0; i + j < n; ++j) dx[i + j] = mask[j / 8] >> (j % 8) & 1 ? dy[i + j] : 0.0f;
}

// sums[0 .. cols) += the sum of `rows` rows of x, one after the other.
inline void add_rows(const float* x, int64_t rows, int64_t cols, float* sums) {
  int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) {
    V v = load(sums + c);
    for (int64_t row = 0; row < rows; ++row) v = hn::Add(v, load(x + row * cols + c));
    store(v, sums + c);
  }
  for (; c < cols; ++c)
    for (int64_t row = 0; row < rows; ++row) sums[c] += x[row * cols + c];
}

// A gradient [rows, cols] with its mask.
struct MaskedGrad {
  const float* dy;
  const uint8_t* mask;
  float* dx;
  int64_t rows, cols;

  // Whether the mask of every row starts with a byte.
  bool rows_are_bytes() const { return cols % 8 == 0; }

  // Rows [begin, end), columns [c0, c1), where rows_are_bytes() and c0 is a multiple of 8. Adds the
  // rows to sums[c0 .. c1), one after the other, where `sums` is not null.
  void mask_block(int64_t begin, int64_t end, int64_t c0, int64_t c1, float* sums) const {
    constexpr int kStep = kLanes < 8 ? 8 : kLanes;  // whole bytes
    int64_t c = c0;
    for (; c + 64 <= c1; c += 64) mask_columns<64, false>(begin, end, c, sums);
    for (; c + kStep <= c1; c += kStep) mask_columns<kStep, false>(begin, end, c, sums);
    for (; c < c1; c += 8) mask_columns<8, (kLanes > 8)>(begin, end, c, sums);
  }

 private:
  // kCols columns from c, of which a vector holds some or more than all.
  template <int kCols, bool kPartial>
  void mask_columns(int64_t begin, int64_t end, int64_t c, float* sums) const {
    constexpr int kVectors = kPartial ? 1 : kCols / kLanes;
    V totals[kVectors];
    for (int j = 0; j < kVectors; ++j)
      totals[j] = sums ? load_some<kPartial>(sums + c + j * kLanes, kCols) : zero();
    for (int64_t at = begin * cols + c; at < end * cols; at += cols) {
      const uint64_t bits = load_bits<kCols>(mask + at / 8);
      for (int j = 0; j < kVectors; ++j) {
        const V v = keep(load_some<kPartial>(dy + at + j * kLanes, kCols), bits >> j * kLanes);
        store_some<kPartial>(v, dx + at + j * kLanes, kCols);
        totals[j] = hn::Add(totals[j], v);
      }
    }
    if (sums)
      for (int j = 0; j < kVectors; ++j)
        store_some<kPartial>(totals[j], sums + c + j * kLanes, kCols);
  }
};

// Sums of blocks of rows, [blocks, cols], and what becomes of them.
struct BlockSums {
  float* blocks = nullptr;  // null: no sums are wanted
  int64_t cols = 0;

  static size_t bytes(int64_t blocks, int64_t cols) {
    return static_cast<size_t>(blocks * cols) * sizeof(float);
  }
  // Where columns [c0, c1) of a block are summed, zeros at first; null where none are wanted.
  float* start(int64_t block, int64_t c0, int64_t c1) const {
    if (!blocks) return nullptr;
    float* const sums = blocks + block * cols;
    std::fill(sums + c0, sums + c1, 0.0f);
    return sums;
  }
  void finish(int64_t count, float* sums) const {
    if (!blocks) return;
    std::copy_n(blocks, cols, sums);
    for (int64_t block = 1; block < count; ++block) add_rows(blocks + block * cols, 1, cols, sums);
  }
};

inline int64_t sum_blocks(int64_t rows) { return (rows + kSumRows - 1) / kSumRows; }

// All of a gradient, in blocks of kSumRows rows; `sums` may be null.
inline void mask_all(const MaskedGrad& grad, const BlockSums& partial, float* sums,
                     ThreadPool& pool) {
  constexpr int64_t kTile = 4 * kSumRows;
  static_assert(kTile % 8 == 0);  // whole bytes of the mask, however long rows are
  pool.parallel_for(
      grad.rows, grad.rows_are_bytes() ? kSumRows : kTile, [&](int64_t begin, int64_t end) {
        const int64_t cols = grad.cols, at = begin * cols;
        if (grad.rows_are_bytes())
          return grad.mask_block(begin, end, 0, cols, partial.start(begin / kSumRows, 0, cols));
        mask_elements(grad.dy + at, grad.mask + at / 8, grad.dx + at, (end - begin) * cols);
        for (int64_t row = begin; row < end && partial.blocks; row += kSumRows)
          add_rows(grad.dx + row * cols, std::min(kSumRows, end - row), cols,
                   partial.start(row / kSumRows, 0, cols));
      });
  partial.finish(sum_blocks(grad.rows), sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
