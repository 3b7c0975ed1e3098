#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

struct pthreadpool;

namespace attune {

// Threads of the caller's: what a session is given instead of making some.
struct ParallelFor {
  void* context = nullptr;
  int threads = 1;  // that may run bodies at the same time, the caller's own included
  // Calls body(body_context, begin, size) for [0, tile), [tile, 2 tile) .. of [0, count), each
  // once, by any thread and in any order, and returns when all are done.
  void (*run)(void* context, void (*body)(void* body_context, size_t begin, size_t size),
              void* body_context, size_t count, size_t tile) = nullptr;
  explicit operator bool() const { return run != nullptr; }
};

// Threads that kernels share. Wraps pthreadpool where the build has it; otherwise everything runs
// in the calling thread. Work is split by output, in tiles whose size does not depend on the number
// of threads, so results do not either.
class ThreadPool {
 public:
  // `threads` >= 1, the caller's own thread included.
  explicit ThreadPool(int threads);
  // Of the caller's threads.
  explicit ThreadPool(const ParallelFor& callers);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // One that runs everything in the calling thread: for a part of work that other threads share.
  static ThreadPool& calling_thread();

  int threads() const { return threads_; }
  // What a pool takes from the heap, itself included, at most; not its threads' stacks.
  static size_t bytes(int threads);
  // Null where there is one thread, or no pthreadpool, or the threads are the caller's.
  pthreadpool* native() const { return pool_; }

  // Calls f(begin, end) for the tiles [0, tile), [tile, 2 tile) ... of [0, count). Never allocates.
  template <class F>
  void parallel_for(int64_t count, int64_t tile, F&& f) {
    if (count <= 0) return;
    if (tile < 1) tile = 1;
    if (threads_ == 1 || count <= tile) {
      for (int64_t begin = 0; begin < count; begin += tile)
        f(begin, begin + tile < count ? begin + tile : count);
      return;
    }
    run(
        [](void* context, size_t begin, size_t size) {
          (*static_cast<std::remove_reference_t<F>*>(context))(static_cast<int64_t>(begin),
                                                               static_cast<int64_t>(begin + size));
        },
        const_cast<void*>(static_cast<const void*>(&f)), static_cast<size_t>(count),
        static_cast<size_t>(tile));
  }

 private:
  using TileFn = void (*)(void* context, size_t begin, size_t size);
  void run(TileFn fn, void* context, size_t count, size_t tile);

  int threads_ = 1;
  ParallelFor callers_;
  pthreadpool* pool_ = nullptr;
};

}  // namespace attune
