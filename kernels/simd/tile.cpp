#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/tile.cpp"
#include <hwy/foreach_target.h>
//
#include <type_traits>
#include <utility>

#include "kernels/simd/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

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
template <int kVectors, bool kFromZero>
HWY_INLINE void store_mask(const V* sums, V min, V max, uint8_t* mask) {
  for (int j = 0; j < kVectors; ++j, mask += kLanes / 8)
    hn::StoreMaskBits(D(), between<kFromZero>(sums[j], min, max), mask);
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
  else if (clamps_from_zero(e.min, e.max))
    (store_mask<kVectors, true>(sums + I * kVectors, min, max, mask(I)), ...);
  else
    (store_mask<kVectors, false>(sums + I * kVectors, min, max, mask(I)), ...);
}

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
HWY_INLINE void multiply_rows(int rows, const Panels& panels, const Tile& t) {
  if (rows == kRows) {
    constexpr std::make_integer_sequence<int, kRows> kIndices;
    if (t.cols > kLanes)
      multiply_vectors<kKMajor, 2>(panels, t, kIndices);
    else
      multiply_vectors<kKMajor, 1>(panels, t, kIndices);
    return;
  }
  if constexpr (kRows > 1) multiply_rows<kKMajor, kRows - 1>(rows, panels, t);
}

}  // namespace

template <bool kKMajor>
void multiply_tile(int rows, const Panels& panels, const Tile& t) {
  multiply_rows<kKMajor>(rows, panels, t);
}
template void multiply_tile<false>(int, const Panels&, const Tile&);
template void multiply_tile<true>(int, const Panels&, const Tile&);

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();
