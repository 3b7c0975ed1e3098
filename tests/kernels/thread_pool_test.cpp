#include "attune/thread_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace attune {

TEST_CASE("a thread pool has as many threads as asked for, or one") {
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() >= 1);
    CHECK(pool.threads() <= threads);
    CHECK((pool.native() == nullptr) == (pool.threads() == 1));
  }
  CHECK(ThreadPool(0).threads() == 1);
  CHECK(ThreadPool(-1).threads() == 1);
}

TEST_CASE("parallel_for covers every index once, in tiles that do not depend on the threads") {
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (int64_t count : {0, 1, 7, 8, 9, 100, 1000}) {
      for (int64_t tile : {-1, 0, 1, 3, 8, 1000, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
        std::atomic<bool> tiled = true;
        pool.parallel_for(count, tile, [&](int64_t begin, int64_t end) {
          const int64_t size = tile < 1 ? 1 : tile;
          if (begin % size != 0 || end != std::min(begin + size, count)) tiled = false;
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        CHECK(tiled);
        int wrong = 0;
        for (const std::atomic<int>& v : visits) wrong += v != 1;
        CHECK(wrong == 0);
      }
    }
  }
}

}  // namespace attune
