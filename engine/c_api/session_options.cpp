#include "engine/c_api/session_options.h"

#include <algorithm>

namespace attune::c_api {
namespace {

// The caller's threads, for kernels that ask for tiles.
struct Tiles {
  void (*body)(void* context, size_t begin, size_t size);
  void* context;
  size_t count, tile;
};

void run_tile(void* argument, int64_t index) {
  const auto& tiles = *static_cast<const Tiles*>(argument);
  const size_t begin = static_cast<size_t>(index) * tiles.tile;
  tiles.body(tiles.context, begin, std::min(tiles.tile, tiles.count - begin));
}

void run_tiles(void* context, void (*body)(void*, size_t, size_t), void* body_context, size_t count,
               size_t tile) {
  const auto& parallel = *static_cast<const attune_parallel_for*>(context);
  Tiles tiles{body, body_context, count, tile};
  parallel.run(parallel.context, static_cast<int64_t>((count + tile - 1) / tile), run_tile, &tiles);
}

}  // namespace

attune_status read_session_options(const attune_session_options* given, SessionWish* wanted,
                                   attune_error* error) {
  attune_session_options o;
  ATTUNE_C_RETURN_IF_ERROR(read(given, &o, "attune_session_options", error));
  ATTUNE_C_RETURN_IF_ERROR(read_allocator(o.allocator, &wanted->offer.allocator, error));
  ATTUNE_C_RETURN_IF_ERROR(read(o.parallel_for, &wanted->parallel, "attune_parallel_for", error));
  ATTUNE_C_RETURN_IF_ERROR(read(o.clock, &wanted->clock, "attune_clock", error));
  if (o.parallel_for && (!wanted->parallel.run || wanted->parallel.threads < 1))
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_parallel_for: run is NULL, or threads is %d; give at least 1",
                static_cast<int>(wanted->parallel.threads));
  if (o.clock && !wanted->clock.microseconds)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_clock: microseconds is NULL");
  if (o.backend < ATTUNE_BACKEND_BEST || o.backend > ATTUNE_BACKEND_SIMD)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_session_options: there is no backend %d",
                static_cast<int>(o.backend));
  if (o.threads < 0 || o.threads > 1024)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_session_options: %d threads; give 1 .. 1024, or 0 for one",
                static_cast<int>(o.threads));
  constexpr uint32_t kAll = (1u << kProgramCount) - 1;
  if (o.programs & ~kAll || o.reserved != 0)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_session_options: programs or reserved has bits that mean nothing");
  wanted->options.backend = static_cast<BackendChoice>(o.backend);
  wanted->options.threads = std::max(static_cast<int>(o.threads), 1);
  if (o.programs != 0) wanted->options.programs = o.programs;
  wanted->offer.memory = o.memory;
  wanted->offer.memory_bytes = o.memory_bytes;
  return ATTUNE_OK;
}

ParallelFor threads_of(attune_parallel_for* parallel) {
  if (!parallel->run) return {};
  return {.context = parallel, .threads = parallel->threads, .run = run_tiles};
}

}  // namespace attune::c_api
