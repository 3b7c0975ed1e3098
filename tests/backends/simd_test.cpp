#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "kernels/attrs.h"
#include "tests/backends/checks.h"

namespace attune::test {
namespace {

bool have_simd() {
  if (backend_available(Backend::simd)) return true;
  MESSAGE("built without Highway: skipped");
  return false;
}

}  // namespace

TEST_CASE("simd: convolutions agree with the reference, whatever the threads") {
  if (have_simd()) check_convolutions(Backend::simd);
}

TEST_CASE("simd: a mask without a clamp is true where y is finite") {
  if (have_simd()) check_mask_without_clamp(Backend::simd);
}

TEST_CASE("simd: NaN passes through the clamp and its mask is false") {
  if (have_simd()) check_nan(Backend::simd);
}

TEST_CASE("simd: the gradient of some channels has the bits of the whole gradient") {
  if (have_simd()) check_gradient_slices(Backend::simd);
}

TEST_CASE("simd: linear agrees with the reference") {
  if (have_simd()) check_linear(Backend::simd);
}

TEST_CASE("simd: matmul agrees with the reference, transposed or not, and slices keep their bits") {
  if (have_simd()) check_matmul(Backend::simd);
}

TEST_CASE("simd: reduce agrees with the reference over runs of axes") {
  if (have_simd()) check_reduce(Backend::simd);
}

TEST_CASE("simd: reduce leaves axes that are not neighbours, and the last one, to others") {
  if (have_simd()) check_reduce_supports(Backend::simd);
}

// What a product with one transposed element packs is one row of two vectors.
TEST_CASE("simd: vectors are no wider than ATTUNE_SIMD_TARGET allows") {
  const char* target = std::getenv("ATTUNE_SIMD_TARGET");
  if (!target || !have_simd()) return;
  Tensor one;
  one.shape = {1, 1};
  const Tensor inputs[] = {one, one};
  MatmulAttrs attrs;
  attrs.transpose_b = true;
  KernelArgs args;
  args.inputs = inputs, args.num_inputs = 2;
  args.outputs = &one, args.num_outputs = 1;
  args.attrs = &attrs;
  const Kernel* kernel = find_kernel(Backend::simd, Op::matmul, DType::f32);
  REQUIRE(kernel != nullptr);
  const size_t bytes = kernel->workspace_bytes(args, 1);
  CHECK(bytes >= 32);
  if (std::string(target) == "avx512") CHECK(bytes <= 128);
  if (std::string(target) == "avx2") CHECK(bytes <= 64);
  if (std::string(target) == "baseline") CHECK(bytes == 32);
}

}  // namespace attune::test
