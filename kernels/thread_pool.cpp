// All of the class is shown by a shared library (attune/export.h), without a word in a header that
// every kernel includes.
#pragma GCC visibility push(default)
#include "attune/thread_pool.h"
#pragma GCC visibility pop

#ifdef ATTUNE_HAVE_PTHREADPOOL
#include <pthreadpool.h>
#endif

#include "kernels/heap_block.h"
#include "kernels/start_pool.h"

namespace attune {

ThreadPool& ThreadPool::calling_thread() {
  static ThreadPool pool(1);
  return pool;
}

ThreadPool::ThreadPool(const ParallelFor& callers)
    : threads_(callers.threads > 1 ? callers.threads : 1), callers_(callers) {}

#ifdef ATTUNE_HAVE_PTHREADPOOL

ThreadPool::ThreadPool(int threads) {
  if (threads < 2) return;
  // Without a pool everything still runs, in the calling thread; is_started tells.
  pool_ = start_pool(static_cast<size_t>(threads));
  if (pool_) threads_ = static_cast<int>(pthreadpool_get_threads_count(pool_));
}

size_t ThreadPool::bytes(int threads) {
  // pthreadpool has cache lines for itself and for every thread, the C library a table of its
  // thread-local storage for every one it starts.
  constexpr size_t kPool = 1024, kThread = 1024;
  const size_t own = sizeof(ThreadPool) + kHeapBlockBytes;
  return threads < 2 ? own : own + kPool + static_cast<size_t>(threads) * kThread;
}

ThreadPool::~ThreadPool() {
  if (pool_) pthreadpool_destroy(pool_);
}

void ThreadPool::run(TileFn fn, void* context, size_t count, size_t tile) {
  if (callers_) return callers_.run(callers_.context, fn, context, count, tile);
  // No flags: flushing denormals to zero would change results.
  pthreadpool_parallelize_1d_tile_1d(pool_, fn, context, count, tile, 0);
}

#else

ThreadPool::ThreadPool(int) {}

size_t ThreadPool::bytes(int) { return sizeof(ThreadPool) + kHeapBlockBytes; }

ThreadPool::~ThreadPool() = default;

void ThreadPool::run(TileFn fn, void* context, size_t count, size_t tile) {
  if (callers_) return callers_.run(callers_.context, fn, context, count, tile);
  for (size_t begin = 0; begin < count; begin += tile)
    fn(context, begin, tile < count - begin ? tile : count - begin);
}

#endif

}  // namespace attune
