#include <doctest/doctest.h>

#include "tests/backends/checks.h"

namespace attune::test {
namespace {

bool have_eigen() {
  if (backend_available(Backend::eigen)) return true;
  MESSAGE("built without Eigen: skipped");
  return false;
}

}  // namespace

TEST_CASE("Eigen: convolutions agree with the reference, whatever the threads") {
  if (have_eigen()) check_convolutions(Backend::eigen);
}

TEST_CASE("Eigen: a mask without a clamp is true where y is finite") {
  if (have_eigen()) check_mask_without_clamp(Backend::eigen);
}

TEST_CASE("Eigen: NaN passes through the clamp and its mask is false") {
  if (have_eigen()) check_nan(Backend::eigen);
}

TEST_CASE("Eigen: the gradient of some channels has the bits of the whole gradient") {
  if (have_eigen()) check_gradient_slices(Backend::eigen);
}

TEST_CASE("Eigen: linear agrees with the reference") {
  if (have_eigen()) check_linear(Backend::eigen);
}

TEST_CASE(
    "Eigen: matmul agrees with the reference, transposed or not, and slices keep their bits") {
  if (have_eigen()) check_matmul(Backend::eigen);
}

TEST_CASE("Eigen: reduce agrees with the reference over runs of axes") {
  if (have_eigen()) check_reduce(Backend::eigen);
}

TEST_CASE("Eigen: reduce leaves axes that are not neighbours, and the last one, to others") {
  if (have_eigen()) check_reduce_supports(Backend::eigen);
}

}  // namespace attune::test
