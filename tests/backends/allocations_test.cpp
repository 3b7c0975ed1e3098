#include "tests/support/allocations.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>

namespace attune::test {

TEST_CASE("allocations are counted, so that kernels can be shown to make none") {
  if (!counts_allocations()) {
    MESSAGE("malloc is not ours in this build: skipped");
    return;
  }
  const size_t before = allocation_count();
  const auto owned = std::make_unique<volatile int>(1);
  CHECK(allocation_count() > before);
  const size_t after = allocation_count();
  void* volatile aligned = std::aligned_alloc(64, 64);
  CHECK(allocation_count() > after);
  std::free(aligned);
}

}  // namespace attune::test
