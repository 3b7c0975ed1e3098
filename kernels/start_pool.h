#pragma once

#include <cstddef>

#include "attune/thread_pool.h"

namespace attune {

// A pool of pthreadpool's, or null where the system does not give so many threads: pthreadpool
// itself does not look, and would wait for them for ever.
pthreadpool* start_pool(size_t threads);

// Whether the system gave a pool the threads that it was made for. A build without pthreadpool asks
// for none.
bool is_started(const ThreadPool& pool, int threads);

}  // namespace attune
