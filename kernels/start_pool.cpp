#include "kernels/start_pool.h"

#ifdef ATTUNE_HAVE_PTHREADPOOL
#include <errno.h>
#include <pthread.h>
#include <pthreadpool.h>
#include <time.h>

#include <new>

namespace attune {
namespace {

constexpr time_t kPatienceSeconds = 10;

struct Chain {
  size_t left;
  int error = 0;
};

// Starts a thread that starts a thread ..., so that all of them live at once.
void* start_next(void* context) {
  auto& chain = *static_cast<Chain*>(context);
  if (chain.left == 0) return nullptr;
  --chain.left;
  pthread_t next;
  chain.error = pthread_create(&next, nullptr, start_next, context);
  if (chain.error == 0) pthread_join(next, nullptr);
  return nullptr;
}

// What the thread that makes the pool and the one that waits for it share. Who leaves last deletes.
struct Creation {
  size_t threads;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  pthreadpool* pool = nullptr;
  bool done = false, abandoned = false;
};

void* create(void* context) {
  auto* const creation = static_cast<Creation*>(context);
  pthreadpool* const pool = pthreadpool_create(creation->threads);
  pthread_mutex_lock(&creation->mutex);
  creation->pool = pool;
  creation->done = true;
  const bool abandoned = creation->abandoned;
  pthread_cond_signal(&creation->changed);
  pthread_mutex_unlock(&creation->mutex);
  if (abandoned) {
    if (pool) pthreadpool_destroy(pool);
    delete creation;
  }
  return nullptr;
}

}  // namespace

pthreadpool* start_pool(size_t threads) {
  // As many as the pool will have, and the one that makes it.
  Chain chain = {threads};
  start_next(&chain);
  if (chain.error != 0) return nullptr;
  // Somebody else may have taken them since. Then only time tells.
  auto* const creation = new (std::nothrow) Creation{threads};
  if (!creation) return nullptr;
  pthread_t maker;
  if (pthread_create(&maker, nullptr, create, creation) != 0) {
    delete creation;
    return nullptr;
  }
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += kPatienceSeconds;
  pthread_mutex_lock(&creation->mutex);
  while (!creation->done &&
         pthread_cond_timedwait(&creation->changed, &creation->mutex, &until) != ETIMEDOUT) {
  }
  const bool done = creation->done;
  creation->abandoned = !done;
  pthread_mutex_unlock(&creation->mutex);
  if (!done) {
    pthread_detach(maker);
    return nullptr;
  }
  pthread_join(maker, nullptr);
  pthreadpool* const pool = creation->pool;
  delete creation;
  return pool;
}

bool is_started(const ThreadPool& pool, int threads) {
  return threads < 2 || pool.native() != nullptr;
}

}  // namespace attune

#else

namespace attune {

bool is_started(const ThreadPool&, int) { return true; }

}  // namespace attune
#endif
