#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "graph/ir/error.h"

namespace attune {

// Calls f(0) .. f(count - 1) in `threads` threads, in no order. After an exception no further call
// starts; the first one is thrown again here. Throws Error where so many cannot be started.
template <class F>
void for_each_in_parallel(size_t count, int threads, F&& f) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        f(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::jthread> others;
  try {
    for (int t = 1; t < threads && static_cast<size_t>(t) < count; ++t) others.emplace_back(work);
  } catch (const std::system_error&) {
    next = count;
    others.clear();  // joins
    throw_error("the system does not give {} threads; ask for fewer (--jobs)", threads);
  }
  work();
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace attune
