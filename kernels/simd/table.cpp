#include <hwy/targets.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "kernels/backends.h"
#include "kernels/simd/kernels.h"

namespace attune {

#ifdef HWY_COMPILE_ONLY_STATIC
bool simd_available() { return true; }
#else
namespace {

// ATTUNE_SIMD_TARGET forbids what is better than it: avx512, avx2, baseline.
int64_t forbidden_targets() {
  const char* name = std::getenv("ATTUNE_SIMD_TARGET");
  if (!name) return 0;
#if HWY_ARCH_X86
  if (std::strcmp(name, "avx2") == 0) return HWY_AVX3;
  if (std::strcmp(name, "baseline") == 0) return HWY_AVX3 | HWY_AVX2;
#endif
  return 0;
}

}  // namespace

bool simd_available() {
  // Before the first dispatch, which remembers what it chose.
  static const bool available = [] {
    // Asking for the targets makes all of them the choice again, so the last word is Update's.
    const int64_t targets = hwy::SupportedTargets() & ~forbidden_targets() & HWY_TARGETS;
    if (targets != 0) hwy::GetChosenTarget().Update(targets);
    return targets != 0;
  }();
  return available;
}
#endif

const Kernel* find_simd_kernel(Op op, DType dtype) {
  if (dtype != DType::f32 || !simd_available()) return nullptr;
  constexpr const Kernel* (*kFinders[])(Op) = {
      simd::find_conv2d,      simd::find_depthwise_conv2d, simd::find_linear_matmul,
      simd::find_elementwise, simd::find_update,           simd::find_reduce,
      simd::find_max_pool2d,  simd::find_transpose};
  for (const auto find : kFinders)
    if (const Kernel* kernel = find(op)) return kernel;
  return nullptr;
}

}  // namespace attune
