#include "kernels/thread_pool.h"

#ifdef ATTUNE_HAVE_PTHREADPOOL
#include <pthreadpool.h>
#endif

namespace attune {

#ifdef ATTUNE_HAVE_PTHREADPOOL

ThreadPool::ThreadPool(int threads) {
  if (threads < 2) return;
  // Without a pool (no memory, no threads) everything still runs, in the calling thread.
  pool_ = pthreadpool_create(static_cast<size_t>(threads));
  if (pool_) threads_ = static_cast<int>(pthreadpool_get_threads_count(pool_));
}

ThreadPool::~ThreadPool() {
  if (pool_) pthreadpool_destroy(pool_);
}

void ThreadPool::run(TileFn fn, void* context, size_t count, size_t tile) {
  // No flags: flushing denormals to zero would change results.
  pthreadpool_parallelize_1d_tile_1d(pool_, fn, context, count, tile, 0);
}

#else

ThreadPool::ThreadPool(int) {}

ThreadPool::~ThreadPool() = default;

void ThreadPool::run(TileFn fn, void* context, size_t count, size_t tile) {
  for (size_t begin = 0; begin < count; begin += tile)
    fn(context, begin, tile < count - begin ? tile : count - begin);
}

#endif

}  // namespace attune
