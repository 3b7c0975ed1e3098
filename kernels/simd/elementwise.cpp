#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/elementwise.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/kernels.h"
#include "kernels/simd/mask-inl.h"

// One element in, one out. Outputs may lie on inputs: an element is read before it is written.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

// A multiple of 64, so that no two threads write the same byte of a mask.
constexpr int64_t kElementTile = 1 << 14;

// ---- Add ---------------------------------------------------------------------------------------

bool add_supports(const KernelArgs& args) {
  return args.input(0).shape == args.output(0).shape && args.input(1).shape == args.output(0).shape;
}

void add_elements(const float* a, const float* b, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(hn::Add(load(a + i), load(b + i)), y + i);
  for (; i < n; ++i) y[i] = a[i] + b[i];
}

void add(const KernelArgs& args) {
  const float *a = args.input(0).as<float>(), *b = args.input(1).as<float>();
  float* y = args.output(0).as<float>();
  args.pool->parallel_for(args.output(0).shape.elements(), kElementTile,
                          [=](int64_t begin, int64_t end) {
                            add_elements(a + begin, b + begin, y + begin, end - begin);
                          });
}

// ---- Clamp -------------------------------------------------------------------------------------

void clamp_elements(const float* x, float* y, int64_t n, float min, float max) {
  const V lo = repeat(min), hi = repeat(max);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(clamp_vector(load(x + i), lo, hi), y + i);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_partial(clamp_vector(load_partial(x + i, rest), lo, hi), y + i, rest);
  }
}

void clamp(const KernelArgs& args) {
  const auto& a = args.attributes<ClampAttrs>();
  const float min = static_cast<float>(a.min), max = static_cast<float>(a.max);
  const float* x = args.input(0).as<float>();
  float* y = args.output(0).as<float>();
  uint8_t* mask = args.output(1).as<uint8_t>();
  args.pool->parallel_for(args.output(0).shape.elements(), kElementTile,
                          [=](int64_t begin, int64_t end) {
                            clamp_elements(x + begin, y + begin, end - begin, min, max);
                            if (mask)
                              write_mask(y + begin, end - begin, min, max, mask + begin / 8);
                          });
}

void clamp_mask(const KernelArgs& args) {
  const auto& a = args.attributes<ClampAttrs>();
  const float min = static_cast<float>(a.min), max = static_cast<float>(a.max);
  const float* y = args.input(0).as<float>();
  uint8_t* mask = args.output(0).as<uint8_t>();
  args.pool->parallel_for(args.input(0).shape.elements(), kElementTile,
                          [=](int64_t begin, int64_t end) {
                            write_mask(y + begin, end - begin, min, max, mask + begin / 8);
                          });
}

// ---- Gradient of a clamp -----------------------------------------------------------------------

size_t mask_grad_workspace(const KernelArgs& args, int) {
  if (args.num_outputs < 2) return 0;
  const Shape& dx = args.output(0).shape;
  return BlockSums::bytes(sum_blocks(dx.product(0, dx.rank - 1)), dx.last());
}

void mask_grad(const KernelArgs& args) {
  const float* dy = args.input(0).as<float>();
  const uint8_t* mask = args.input(1).as<uint8_t>();
  const Tensor dx = args.output(0);
  if (args.output(1)) {
    const int64_t cols = dx.shape.last();
    mask_all({dy, mask, dx.as<float>(), dx.shape.product(0, dx.shape.rank - 1), cols},
             {static_cast<float*>(args.workspace), cols}, args.output(1).as<float>(), *args.pool);
    return;
  }
  args.pool->parallel_for(dx.shape.elements(), kElementTile, [&](int64_t begin, int64_t end) {
    mask_elements(dy + begin, mask + begin / 8, dx.as<float>() + begin, end - begin);
  });
}

// ---- Normalize ---------------------------------------------------------------------------------

// Bytes of images to numbers: products and sums are rounded one by one, so these are the bits of
// the reference kernel.
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
      args.output(0).shape.elements(), kElementTile, [&](int64_t begin, int64_t end) {
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

constexpr Kernel kAdd{add, add_supports, nullptr, nullptr, nullptr};
constexpr Kernel kClamp{clamp, nullptr, nullptr, nullptr, nullptr};
constexpr Kernel kClampMask{clamp_mask, nullptr, nullptr, nullptr, nullptr};
constexpr Kernel kMaskGrad{mask_grad, nullptr, mask_grad_workspace, nullptr, nullptr};
constexpr Kernel kNormalize{normalize, normalize_supports, nullptr, nullptr, nullptr};

}  // namespace

const Kernel* find_elementwise_here(Op op) {
  if (is<Op::add>(op)) return &kAdd;
  if (is<Op::clamp>(op)) return &kClamp;
  if (is<Op::clamp_mask>(op)) return &kClampMask;
  if (is<Op::mask_grad>(op)) return &kMaskGrad;
  if (is<Op::normalize>(op)) return &kNormalize;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_elementwise)
#endif
