#include "sparse_update/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "graph/ir/interrupt.h"

namespace attune {
namespace {

// Works until it is told to end, or for a minute.
void work_on() {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::minutes(1)) {
    check_interrupt();
    std::this_thread::yield();
  }
  FAIL("nobody ended it");
}

TEST_CASE("the caller's check ends work in all threads") {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> others = 0;
  const InterruptScope scope([&] {
    if (others > 0) throw std::runtime_error("enough");
  });
  const auto run = [&] {
    for_each_in_parallel(4, 4, [&](size_t) {
      if (std::this_thread::get_id() != caller) ++others;
      work_on();
    });
  };
  CHECK_THROWS_WITH(run(), "enough");
}

TEST_CASE("a check is asked as long as its scope lives") {
  int asked = 0;
  {
    const InterruptScope scope([&] { ++asked; });
    check_interrupt();
    {
      const InterruptScope inner([] {});
      check_interrupt();
    }
    check_interrupt();
  }
  check_interrupt();
  CHECK(asked == 2);
}

}  // namespace
}  // namespace attune
