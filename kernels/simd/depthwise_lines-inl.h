// Two lines of a depthwise convolution's outputs, forward or of the gradient of the input. Included
// once a target: no #pragma once.
#if defined(ATTUNE_KERNELS_SIMD_DEPTHWISE_LINES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_KERNELS_SIMD_DEPTHWISE_LINES_INL_H_
#undef ATTUNE_KERNELS_SIMD_DEPTHWISE_LINES_INL_H_
#else
#define ATTUNE_KERNELS_SIMD_DEPTHWISE_LINES_INL_H_
#endif

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/simd/mask-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {

inline constexpr int kMaxKernel = 7;

// Output i of a line is the sum over lines of the input and, for each, over its taps: tap t
// multiplies column x0 + i * step + t. Columns outside of the line are zeros. Two lines of outputs
// share the lines of the input that both see.
struct Lines {
  int lines = 1;  // of outputs
  // Lines of the input: where they start, and their first taps for either line of outputs, null
  // where it does not see them.
  int rows = 0;
  const float* x[kMaxKernel + 2];
  const float* w[2][kMaxKernel + 2];
  int64_t w_step;  // from a tap to the next
  int64_t columns, x0;
  int64_t channels;
  float* y[2];
  int64_t y_step, outputs;
  int64_t y_ahead;  // to what the next lines of outputs write: it is fetched
  const float* bias = nullptr;
  bool clamps = false;
  float min = 0, max = 0;
  // Masks of the outputs, whose bits start with y's first and of which a pixel's are whole bytes.
  // A clamp writes its own, if any. Where there is one to apply, y is 0 where it is not set, and
  // `sums`, if any, gains every output, one after the other.
  uint8_t* clamp_mask[2] = {};
  const uint8_t* mask[2] = {};
  float* sums = nullptr;

  void add_row(const float* line, const float* w0, const float* w1) {
    x[rows] = line, w[0][rows] = w0, w[1][rows++] = w1;
  }
};

// Whether vectors write their part of a clamp's mask: theirs are whole bytes.
inline bool writes_mask(int64_t channels) { return kLanes >= 8 && channels % 8 == 0; }

// Where the mask is not set, zeros; its first bit is bit `shift` of *mask.
template <bool kPartial>
HWY_INLINE V apply_mask(V v, const uint8_t* mask, int shift) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  // Reads whole vectors' bits, no more.
  if constexpr (!kPartial) return hn::IfThenElseZero(hn::LoadMaskBits(D(), mask), v);
#endif
  return keep(v, load_bits<8>(mask) >> shift);
}

template <bool kPartial, bool kFromZero>
HWY_INLINE void write_clamp_mask(V v, V min, V max, uint8_t* mask) {
  uint8_t bits[8];
  hn::StoreMaskBits(D(), between<kFromZero>(v, min, max), bits);
  std::memcpy(mask, bits, kPartial ? 1 : kLanes / 8);
}

// Columns of which `outside` has bits are zeros.
template <bool kBorder, bool kPartial, int... J>
HWY_INLINE void load_columns(const float* from, int64_t step, unsigned outside, int n, V* x,
                             std::integer_sequence<int, J...>) {
  ((x[J] = kBorder && outside >> J & 1 ? zero() : load_some<kPartial>(from + J * step, n)), ...);
}

template <int kStep, int kTap, bool kPartial, int... P>
HWY_INLINE void multiply_tap(const float* w, int64_t w_step, int n, const V* x, V* sums,
                             std::integer_sequence<int, P...>) {
  const V v = load_some<kPartial>(w + kTap * w_step, n);
  ((sums[P] = hn::MulAdd(x[P * kStep + kTap], v, sums[P])), ...);
}

template <int kStep, bool kPartial, class Outputs, int... T>
HWY_INLINE void multiply_taps(const float* w, int64_t w_step, int n, const V* x, V* sums,
                              Outputs outputs, std::integer_sequence<int, T...>) {
  (multiply_tap<kStep, T, kPartial>(w, w_step, n, x, sums, outputs), ...);
}

// What becomes of outputs i, i + 1, ... of a line, each condition asked once for all of them.
template <bool kPartial, int... P>
HWY_INLINE void finish_outputs(const Lines& l, int line, int64_t i, int64_t fresh, int64_t c, int n,
                               V* v, std::integer_sequence<int, P...>) {
  const int64_t step = l.y_step, at = i * step + c, mask_at = at >> 3, mask_step = step >> 3;
  if (l.clamps) {
    const V min = repeat(l.min), max = repeat(l.max);
    ((v[P] = clamp_vector(v[P], min, max)), ...);
    if constexpr (kLanes >= 8) {  // as writes_mask demands
      if (uint8_t* const mask = l.clamp_mask[line]) {
#if HWY_TARGET == HWY_AVX3
        if (clamps_from_zero(l.min, l.max))
          (write_clamp_mask<kPartial, true>(v[P], min, max, mask + mask_at + P * mask_step), ...);
        else
#endif
          (write_clamp_mask<kPartial, false>(v[P], min, max, mask + mask_at + P * mask_step), ...);
      }
    }
  } else if (const uint8_t* const mask = l.mask[line]) {
    ((v[P] = apply_mask<kPartial>(v[P], mask + mask_at + P * mask_step, at & 7)), ...);
    if (l.sums) {
      V total = load_some<kPartial>(l.sums + c, n);
      ((total = i + P < fresh ? total : hn::Add(total, v[P])), ...);
      store_some<kPartial>(total, l.sums + c, n);
    }
  }
  float* const y = l.y[line] + at;
  (__builtin_prefetch(y + P * step + l.y_ahead, 1), ...);
  (store_some<kPartial>(v[P], y + P * step, n), ...);
}

// Outputs i, i + 1, ... of both lines for one vector of channels, of which n exist. Those before
// `fresh` are known already.
template <int kTaps, int kStep, bool kBorder, bool kPartial, int... P>
HWY_INLINE void block_vector(const Lines& l, int64_t i, int64_t fresh, unsigned outside, int64_t c,
                             int n, std::integer_sequence<int, P...> outputs) {
  constexpr int kOutputs = sizeof...(P), kColumns = (kOutputs - 1) * kStep + kTaps;
  constexpr std::make_integer_sequence<int, kTaps> kAllTaps;
  const int64_t at = (l.x0 + i * kStep) * l.channels + c;
  const V bias = l.bias ? load_some<kPartial>(l.bias + c, n) : zero();
  V first[kOutputs], last[kOutputs];
  ((first[P] = last[P] = bias), ...);
  // The first line ends before the rows that only the second one sees: the processor multiplies
  // these while it clamps.
  bool open = true;
  for (int r = 0;; ++r) {
    if (open && (r == l.rows || !l.w[0][r])) {
      finish_outputs<kPartial>(l, 0, i, fresh, c, n, first, outputs);
      open = false;
    }
    if (r == l.rows) break;
    V x[kColumns];
    load_columns<kBorder, kPartial>(l.x[r] + at, l.channels, outside, n, x,
                                    std::make_integer_sequence<int, kColumns>{});
    if (const float* const w = l.w[0][r])
      multiply_taps<kStep, kPartial>(w + c, l.w_step, n, x, first, outputs, kAllTaps);
    if (const float* const w = l.w[1][r])
      multiply_taps<kStep, kPartial>(w + c, l.w_step, n, x, last, outputs, kAllTaps);
  }
  if (l.lines == 2) finish_outputs<kPartial>(l, 1, i, fresh, c, n, last, outputs);
}

template <int kTaps, int kStep, int kOutputs>
HWY_NOINLINE void block_rest(const Lines& l, int64_t i, int64_t fresh, unsigned outside,
                             int64_t c) {
  block_vector<kTaps, kStep, true, true>(l, i, fresh, outside, c, static_cast<int>(l.channels - c),
                                         std::make_integer_sequence<int, kOutputs>{});
}

template <int kTaps, int kStep, bool kBorder, int kOutputs>
HWY_NOINLINE void block_channels(const Lines& l, int64_t i, int64_t fresh, unsigned outside) {
  int64_t c = 0;
  for (; c + kLanes <= l.channels; c += kLanes)
    block_vector<kTaps, kStep, kBorder, false>(l, i, fresh, outside, c, kLanes,
                                               std::make_integer_sequence<int, kOutputs>{});
  if (c < l.channels) block_rest<kTaps, kStep, kOutputs>(l, i, fresh, outside, c);
}

template <int kTaps, int kStep, int kOutputs>
HWY_INLINE void block(const Lines& l, int64_t i, int64_t fresh) {
  constexpr int kColumns = (kOutputs - 1) * kStep + kTaps;
  const int64_t first = l.x0 + i * kStep;
  if (kOutputs > 1 && first >= 0 && first + kColumns <= l.columns)
    return block_channels<kTaps, kStep, false, kOutputs>(l, i, fresh, 0);
  unsigned outside = 0;
  for (int j = 0; j < kColumns; ++j)
    outside |= unsigned{first + j < 0 || first + j >= l.columns} << j;
  block_channels<kTaps, kStep, true, kOutputs>(l, i, fresh, outside);
}

// How many of so many outputs, at most, go in blocks of seven, so that blocks of four take the
// rest; none where that cannot be.
constexpr int64_t outputs_in_sevens(int64_t outputs) {
  const int64_t sevens = outputs / 7, over = (sevens + outputs) & 3;
  return over <= sevens ? 7 * (sevens - over) : 0;
}
static_assert(outputs_in_sevens(5) == 0 && outputs_in_sevens(8) == 0 &&
              outputs_in_sevens(14) == 14 && outputs_in_sevens(25) == 21 &&
              outputs_in_sevens(64) == 56);

// Where lines do not end with a block, the last one computes some outputs again, the same way.
template <int kTaps, int kStep>
void run_lines(const Lines& l) {
  int64_t i = 0;
#if HWY_TARGET == HWY_AVX3
  for (const int64_t end = outputs_in_sevens(l.outputs); i < end; i += 7)
    block<kTaps, kStep, 7>(l, i, i);
#endif
  for (; i + 4 <= l.outputs; i += 4) block<kTaps, kStep, 4>(l, i, i);
  if (i < l.outputs && l.outputs >= 4) {
    block<kTaps, kStep, 4>(l, l.outputs - 4, i);
    return;
  }
  for (; i < l.outputs; ++i) block<kTaps, kStep, 1>(l, i, i);
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#endif
