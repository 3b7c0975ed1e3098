// Vectors of the target that is being compiled. Included once a target: no #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_VECTOR_INL_H_
#undef ATTUNE_KERNELS_SIMD_VECTOR_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_VECTOR_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "attune/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
inline constexpr int kLanes = HWY_LANES(float);
// Rows of a block of a sum over rows: whole tiles of products, and whole lines of images of 14, 28,
// 56 and 112 pixels.
inline constexpr int64_t kSumRows = 98;

HWY_INLINE V zero() { return hn::Zero(D()); }
HWY_INLINE V repeat(float v) { return hn::Set(D(), v); }
// Asks for the line at p, which may be any address, to be read.
HWY_INLINE void prefetch(const float* p) { __builtin_prefetch(p, 0, 2); }
// p, of which the compiler forgets how it came to be: addresses that are computed from it are not
// kept from one pass of a loop to the next, which takes more registers than there are.
HWY_INLINE const float* start_over(const float* p) {
#if defined(__GNUC__)
  __asm__("" : "+r"(p));
#endif
  return p;
}
HWY_INLINE V load(const float* p) { return hn::LoadU(D(), p); }
HWY_INLINE void store(V v, float* p) { hn::StoreU(v, D(), p); }

// The first n < kLanes elements, zeros behind them. Touches no other memory: not every target's
// masked load promises that. Loops are too much to compile wherever a vector may be partial.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
HWY_INLINE V load_partial(const float* p, int n) {
  return hn::MaskedLoad(hn::FirstN(D(), static_cast<size_t>(n)), D(), p);
}
HWY_INLINE void store_partial(V v, float* p, int n) {
  hn::BlendedStore(v, hn::FirstN(D(), static_cast<size_t>(n)), D(), p);
}
#else
HWY_NOINLINE inline V load_partial(const float* p, int n) {
  HWY_ALIGN float buffer[kLanes] = {};
  for (int i = 0; i < n; ++i) buffer[i] = p[i];
  return hn::Load(D(), buffer);
}
HWY_NOINLINE inline void store_partial(V v, float* p, int n) {
  HWY_ALIGN float buffer[kLanes];
  hn::Store(v, D(), buffer);
  for (int i = 0; i < n; ++i) p[i] = buffer[i];
}
#endif

// A whole vector, or its first n elements.
template <bool kPartial>
HWY_INLINE V load_some(const float* p, int n) {
  if constexpr (kPartial) return load_partial(p, n);
  return load(p);
}
template <bool kPartial>
HWY_INLINE void store_some(V v, float* p, int n) {
  if constexpr (kPartial)
    store_partial(v, p, n);
  else
    store(v, p);
}

// NaN stays NaN, and zero its sign, as in the reference. On x86 these give the second operand where
// one is NaN or both are zeros; others have instructions that give the number, or the larger zero.
HWY_INLINE V clamp_vector(V v, V min, V max) {
#if HWY_ARCH_X86
  return hn::Min(max, hn::Max(min, v));
#else
  v = hn::IfThenElse(hn::Lt(v, min), min, v);
  return hn::IfThenElse(hn::Gt(v, max), max, v);
#endif
}

// Where elements lie strictly between a clamp's bounds. Of a clamp from zero on, as most are, one
// comparison tells, of the bits as numbers without a sign: one less than none comes last, with all
// that are negative or NaN. Processors compare into masks with the units that multiply.
template <bool kFromZero>
HWY_INLINE hn::Mask<D> between(V v, V min, V max) {
  if constexpr (kFromZero) {
    const hn::RebindToUnsigned<D> bits;
    const auto one = hn::Set(bits, 1);
    return hn::RebindMask(
        D(), hn::Lt(hn::Sub(hn::BitCast(bits, v), one), hn::Sub(hn::BitCast(bits, max), one)));
  } else {
    return hn::And(hn::Gt(v, min), hn::Lt(v, max));
  }
}
// Whether between<true> is right for these bounds, and faster here.
HWY_INLINE bool clamps_from_zero(float min, float max) {
  return HWY_TARGET == HWY_AVX3 && min == 0 && max > 0;
}

// n < kLanes elements.
HWY_INLINE void copy_partial(float* to, const float* from, int n) {
#if HWY_TARGET == HWY_AVX3
  const hn::Half<D> half;  // which needs no mask
  if (n == kLanes / 2) return hn::StoreU(hn::LoadU(half, from), half, to);
#endif
  store_partial(load_partial(from, n), to, n);
}
HWY_INLINE void copy(float* to, const float* from, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(load(from + i), to + i);
  if (i < n) copy_partial(to + i, from + i, static_cast<int>(n - i));
}
// n elements of some rows.
HWY_INLINE void copy_rows(float* to, int64_t to_step, const float* from, int64_t from_step,
                          int64_t rows, int64_t n) {
  if (n < kLanes) {
    const int part = static_cast<int>(n);
    for (; rows > 0; --rows, to += to_step, from += from_step) copy_partial(to, from, part);
  } else {
    for (; rows > 0; --rows, to += to_step, from += from_step) copy(to, from, n);
  }
}
HWY_INLINE void fill_zeros(float* to, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(zero(), to + i);
  if (i < n) store_partial(zero(), to + i, static_cast<int>(n - i));
}

// Writes the mask of y, all of it: bits past the last element are zeros.
HWY_INLINE void write_mask(const float* y, int64_t elements, float min, float max, uint8_t* mask) {
  const V lo = repeat(min), hi = repeat(max);
  const auto inside = [&](const float* p) { return between<false>(load(p), lo, hi); };
  int64_t i = 0;
  if constexpr (kLanes >= 8) {
    for (; i + kLanes <= elements; i += kLanes, mask += kLanes / 8)
      hn::StoreMaskBits(D(), inside(y + i), mask);
  } else {
    for (; i + 8 <= elements; i += 8, ++mask) {
      uint8_t low[8], high[8];
      hn::StoreMaskBits(D(), inside(y + i), low);
      hn::StoreMaskBits(D(), inside(y + i + 4), high);
      *mask = static_cast<uint8_t>(low[0] | high[0] << 4);
    }
  }
  // What is left, in bytes.
  for (; i < elements; i += 8, ++mask) {
    unsigned bits = 0;
    for (int64_t j = 0; j < 8 && i + j < elements; ++j)
      bits |= unsigned{(y[i + j] > min) && (y[i + j] < max)} << j;
    *mask = static_cast<uint8_t>(bits);
  }
}

// The same as a pass of its own.
inline void write_mask(const float* y, int64_t elements, float min, float max, uint8_t* mask,
                       ThreadPool& pool) {
  pool.parallel_for((elements + 7) / 8, 4096, [=](int64_t begin, int64_t end) {
    write_mask(y + begin * 8, std::min(end * 8, elements) - begin * 8, min, max, mask + begin);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
