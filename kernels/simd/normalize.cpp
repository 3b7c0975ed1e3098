#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/normalize.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/kernels.h"
#include "kernels/simd/vector-inl.h"

// Bytes of images to numbers: products and sums are rounded one by one, so these are the bits of
// the reference kernel.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kNormalizeTile = 1 << 14;
constexpr int64_t kMaxChannels = 16;  // of images: scales and offsets repeat after so many vectors

bool normalize_supports(const KernelArgs& args) {
  return args.output(0).shape.last() <= kMaxChannels;
}

void normalize(const KernelArgs& args) {
  const hn::Rebind<int32_t, D> ints;
  const hn::Rebind<uint8_t, D> bytes;
  const uint8_t* const x = args.input(0).as<uint8_t>();
  const float* const scale = args.input(1).as<float>();
  const float* const offset = args.input(2).as<float>();
  float* const y = args.output(0).as<float>();
  const int64_t channels = args.output(0).shape.last();
  args.pool->parallel_for(
      args.output(0).shape.elements(), kNormalizeTile, [&](int64_t begin, int64_t end) {
        HWY_ALIGN float scales[kMaxChannels * kLanes], offsets[kMaxChannels * kLanes];
        const int64_t period = channels * kLanes;
        for (int64_t i = 0; i < period; ++i) {
          scales[i] = scale[(begin + i) % channels];
          offsets[i] = offset[(begin + i) % channels];
        }
        int64_t i = begin, at = 0;
        for (; i + kLanes <= end; i += kLanes, at = at + kLanes < period ? at + kLanes : 0) {
          const V value = hn::ConvertTo(D(), hn::PromoteTo(ints, hn::LoadU(bytes, x + i)));
          store(hn::Add(hn::Mul(value, load(scales + at)), load(offsets + at)), y + i);
        }
        for (; i < end; ++i, ++at) y[i] = static_cast<float>(x[i]) * scales[at] + offsets[at];
      });
}

constexpr Kernel kNormalize{normalize, normalize_supports, nullptr, nullptr, nullptr};

}  // namespace

const Kernel* find_normalize_here(Op op) { return op == Op::normalize ? &kNormalize : nullptr; }

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_normalize)
#endif
