#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/transpose.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/kernels.h"
#include "kernels/simd/vector-inl.h"

// Images of two to four channels, from planes to pixels and back: what stands at either end of a
// model that was trained with channels first.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kMaxPlanes = 4;
constexpr int64_t kPixelTile = 4096;

// x[images, rows, cols] becomes y[images, cols, rows].
struct Sizes {
  int64_t images = 1, rows = 1, cols = 1;
  bool known = false;
};

// Leading axes stay, then the rest is rotated: axes [first, second) go behind the others.
Sizes sizes_of(const KernelArgs& args) {
  const Shape& x = args.input(0).shape;
  const int32_t* perm = args.attributes<TransposeAttrs>().perm;
  int first = 0;
  while (first < x.rank && perm[first] == first) ++first;
  if (first == x.rank) return {};
  const int second = perm[first];
  for (int i = first; i < x.rank; ++i)
    if (perm[i] != first + (i - first + second - first) % (x.rank - first)) return {};
  return {x.product(0, first), x.product(first, second), x.product(second, x.rank), true};
}

bool transpose_supports(const KernelArgs& args) {
  if (!has_elements(args) || args.input(0).dtype != DType::f32) return false;
  const Sizes s = sizes_of(args);
  const int64_t planes = std::min(s.rows, s.cols);
  return s.known && planes >= 2 && planes <= kMaxPlanes;
}

template <int kPlanes>
void planes_to_pixels(const float* x, int64_t plane, int64_t begin, int64_t end, float* y) {
  const D d;
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    const V a = load(x + i), b = load(x + plane + i);
    if constexpr (kPlanes == 2)
      hn::StoreInterleaved2(a, b, d, y + kPlanes * i);
    else if constexpr (kPlanes == 3)
      hn::StoreInterleaved3(a, b, load(x + 2 * plane + i), d, y + kPlanes * i);
    else
      hn::StoreInterleaved4(a, b, load(x + 2 * plane + i), load(x + 3 * plane + i), d,
                            y + kPlanes * i);
  }
  for (; i < end; ++i)
    for (int p = 0; p < kPlanes; ++p) y[kPlanes * i + p] = x[p * plane + i];
}

template <int kPlanes>
void pixels_to_planes(const float* x, int64_t plane, int64_t begin, int64_t end, float* y) {
  const D d;
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    V v[4];
    if constexpr (kPlanes == 2)
      hn::LoadInterleaved2(d, x + kPlanes * i, v[0], v[1]);
    else if constexpr (kPlanes == 3)
      hn::LoadInterleaved3(d, x + kPlanes * i, v[0], v[1], v[2]);
    else
      hn::LoadInterleaved4(d, x + kPlanes * i, v[0], v[1], v[2], v[3]);
    for (int p = 0; p < kPlanes; ++p) store(v[p], y + p * plane + i);
  }
  for (; i < end; ++i)
    for (int p = 0; p < kPlanes; ++p) y[p * plane + i] = x[kPlanes * i + p];
}

void transpose(const KernelArgs& args) {
  const Sizes s = sizes_of(args);
  const bool to_pixels = s.rows <= kMaxPlanes;
  const int64_t planes = to_pixels ? s.rows : s.cols, pixels = to_pixels ? s.cols : s.rows;
  const int64_t tiles = (pixels + kPixelTile - 1) / kPixelTile;
  args.pool->parallel_for(s.images * tiles, 1, [&](int64_t task, int64_t) {
    const float* const x = args.input(0).as<float>() + task / tiles * planes * pixels;
    float* const y = args.output(0).as<float>() + task / tiles * planes * pixels;
    const int64_t begin = task % tiles * kPixelTile, end = std::min(begin + kPixelTile, pixels);
    const auto run = [&](auto of_two, auto of_three, auto of_four) {
      (planes == 2 ? of_two : planes == 3 ? of_three : of_four)(x, pixels, begin, end, y);
    };
    if (to_pixels)
      run(planes_to_pixels<2>, planes_to_pixels<3>, planes_to_pixels<4>);
    else
      run(pixels_to_planes<2>, pixels_to_planes<3>, pixels_to_planes<4>);
  });
}

constexpr Kernel kTranspose{transpose, transpose_supports, nullptr, nullptr, nullptr};

}  // namespace

const Kernel* find_transpose_here(Op op) { return is<Op::transpose>(op) ? &kTranspose : nullptr; }

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_transpose)
#endif
