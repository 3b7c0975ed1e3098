#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "graph/ir/error.h"
#include "graph/ir/interrupt.h"

namespace attune {

// Calls f(0) .. f(count - 1) in `threads` threads, in no order. After an exception no further call
// starts, and those under way end where they next ask; the first one is thrown again here. The
// caller's own check is asked in the caller's thread. Throws Error where so many threads cannot be
// started.
template <class F>
void for_each_in_parallel(size_t count, int threads, F&& f) {
  struct Stopped {};
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto stop_if_failed = [&] {
    if (failed) throw Stopped();
  };
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        f(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failed) failure = std::current_exception();
        failed = true;
        next = count;
      }
    }
  };
  std::vector<std::jthread> others;
  try {
    for (int t = 1; t < threads && static_cast<size_t>(t) < count; ++t)
      others.emplace_back([&] {
        const InterruptScope scope(stop_if_failed);
        work();
      });
  } catch (const std::system_error&) {
    next = count;
    failed = true;
    others.clear();  // joins
    throw_error("the system does not give {} threads; ask for fewer (--jobs)", threads);
  }
  work();
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace attune
