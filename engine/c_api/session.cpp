#include <algorithm>

#include "attune/parameters.h"
#include "engine/c_api/objects.h"
#include "engine/format/plan_generated.h"
#include "engine/platform/memory.h"

using namespace attune;
using namespace attune::c_api;

namespace {

// What the caller's options say, with all that they point to.
struct Wanted {
  SessionOptions options;
  Offer offer;
  attune_parallel_for parallel = {};
  attune_clock clock = {};
};

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

// Memory of trainers: of their own block where they have one, else of the session's allocator.
void* allocate_for_trainer(void* context, size_t bytes, size_t alignment) {
  auto& session = *static_cast<attune_session*>(context);
  if (session.trainer_block) {
    const Allocator block = session.trainer_block->allocator();
    return block.allocate(block.context, bytes, alignment);
  }
  const attune_allocator& callers = session.offer.allocator;
  return callers.allocate ? callers.allocate(callers.context, bytes, alignment)
                          : take_memory(bytes);
}

void release_for_trainer(void* context, void* memory, size_t bytes) {
  auto& session = *static_cast<attune_session*>(context);
  const attune_allocator& callers = session.offer.allocator;
  if (session.trainer_block) {
    const Allocator block = session.trainer_block->allocator();
    block.release(block.context, memory, bytes);
  } else if (callers.release) {
    callers.release(callers.context, memory, bytes);
  } else {
    give_memory(memory, bytes);
  }
}

// But for what lies in the session: memory, threads, the allocator.
attune_status read_options(const attune_session_options* given, Wanted* wanted,
                           attune_error* error) {
  attune_session_options o;
  ATTUNE_C_RETURN_IF_ERROR(read(given, &o, "attune_session_options", error));
  ATTUNE_C_RETURN_IF_ERROR(read_allocator(o.allocator, &wanted->offer.allocator, error));
  ATTUNE_C_RETURN_IF_ERROR(read(o.parallel_for, &wanted->parallel, "attune_parallel_for", error));
  ATTUNE_C_RETURN_IF_ERROR(read(o.clock, &wanted->clock, "attune_clock", error));
  if (o.parallel_for && (!wanted->parallel.run || wanted->parallel.threads < 1))
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_parallel_for: run is NULL, or threads is %d; give at least 1",
                wanted->parallel.threads);
  if (o.clock && !wanted->clock.microseconds)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_clock: microseconds is NULL");
  if (o.backend < ATTUNE_BACKEND_BEST || o.backend > ATTUNE_BACKEND_SIMD)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_session_options: there is no backend %d",
                o.backend);
  if (o.threads < 0 || o.threads > 1024)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_session_options: %d threads; give 1 .. 1024, or 0 for one", o.threads);
  constexpr uint32_t kAll = (1u << kProgramCount) - 1;
  if (o.programs & ~kAll || o.reserved != 0)
    return fail(error, ATTUNE_ERROR_ARGUMENT,
                "attune_session_options: programs or reserved has bits that mean nothing");
  wanted->options.backend = static_cast<BackendChoice>(o.backend);
  wanted->options.threads = std::max(o.threads, 1);
  if (o.programs != 0) wanted->options.programs = o.programs;
  wanted->offer.memory = o.memory;
  wanted->offer.memory_bytes = o.memory_bytes;
  return ATTUNE_OK;
}

constexpr size_t own_bytes() {
  return (sizeof(attune_session) + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// Threads of the caller's, which `parallel` keeps.
ParallelFor threads_of(attune_parallel_for* parallel) {
  if (!parallel->run) return {};
  return {.context = parallel, .threads = parallel->threads, .run = run_tiles};
}

// Why a session could not be made: the plan, or memory.
attune_status refusal(const Plan& plan, const Wanted& wanted, const Status& status,
                      attune_error* error) {
  const SessionOptions& options = wanted.options;
  size_t bytes = 0;
  if (const Status measured = Session::required_bytes(plan, options, &bytes); !measured) {
    const size_t least = plan.table().state_bytes() + plan.table().arena_bytes();
    const bool small = !options.memory.empty() && options.memory.size() < least;
    return told(error, small ? status : measured, small ? ATTUNE_ERROR_MEMORY : ATTUNE_ERROR_PLAN);
  }
  if (options.memory.empty()) return told(error, status, ATTUNE_ERROR_MEMORY);
  return fail(error, ATTUNE_ERROR_MEMORY,
              "%s: the session needs %zu bytes aligned to %zu, and was given %zu; ask "
              "attune_session_bytes",
              plan.name(), own_bytes() + bytes, kTensorAlignment, wanted.offer.memory_bytes);
}

}  // namespace

namespace attune::c_api {

attune_status program_of(attune_program number, ProgramKind* kind, attune_error* error) {
  if (number < 0 || number >= kProgramCount)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "there is no program %d; give 0 .. %d", number,
                kProgramCount - 1);
  *kind = static_cast<ProgramKind>(number);
  return ATTUNE_OK;
}

attune_status program_of(const attune_session* session, attune_program number, ProgramKind* kind,
                         attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(program_of(number, kind, error));
  if (session->session->has(*kind)) return ATTUNE_OK;
  return fail(error, ATTUNE_ERROR_NOT_FOUND, "%s: the %s has no program %s",
              session->plan->plan.name(), session->plan->plan.program(*kind) ? "session" : "plan",
              program_name(*kind));
}

}  // namespace attune::c_api

attune_status attune_session_bytes(const attune_plan* plan, const attune_session_options* given,
                                   size_t* bytes, attune_error* error) {
  ATTUNE_C_NEED(attune_session_bytes, plan);
  ATTUNE_C_NEED(attune_session_bytes, bytes);
  Wanted wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_options(given, &wanted, error));
  wanted.options.allocator = engine_allocator(wanted.offer);
  wanted.options.parallel_for = threads_of(&wanted.parallel);
  size_t engine = 0;
  ATTUNE_C_RETURN_IF_ERROR(
      told(error, Session::required_bytes(plan->plan, wanted.options, &engine), ATTUNE_ERROR_PLAN));
  *bytes = own_bytes() + engine;
  return succeed(error);
}

attune_status attune_session_create(const attune_plan* plan, const attune_session_options* given,
                                    attune_session** session, attune_error* error) {
  ATTUNE_C_NEED(attune_session_create, plan);
  ATTUNE_C_NEED(attune_session_create, session);
  Wanted wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_options(given, &wanted, error));
  Home home;
  ATTUNE_C_RETURN_IF_ERROR(find_home(wanted.offer, own_bytes(), "the session", &home, error));
  auto* made = new (home.block.data()) attune_session;
  made->home = home;
  made->offer = wanted.offer;
  made->plan = plan;
  made->parallel = wanted.parallel;
  made->clock = wanted.clock;
  wanted.options.parallel_for = threads_of(&made->parallel);
  if (wanted.offer.memory) {
    wanted.options.memory = home.block.subspan(own_bytes());
    // An empty one would mean: of the session's own.
    if (wanted.options.memory.empty()) wanted.options.memory = home.block.first(1);
  }
  if (wanted.offer.memory || wanted.offer.allocator.allocate)
    wanted.options.allocator = {made, allocate_for_trainer, release_for_trainer};
  if (const Status status = Session::create(plan->plan, wanted.options, &made->session); !status) {
    const attune_status code = refusal(plan->plan, wanted, status, error);
    destroy(made);
    return code;
  }
  *session = made;
  return succeed(error);
}

void attune_session_destroy(attune_session* session) {
  if (session) destroy(session);
}

attune_status attune_session_memory(const attune_session* session, attune_memory* memory,
                                    attune_error* error) {
  ATTUNE_C_NEED(attune_session_memory, session);
  ATTUNE_C_NEED(attune_session_memory, memory);
  ATTUNE_C_RETURN_IF_ERROR(check_struct(memory, "attune_memory", error));
  const MemoryReport report = session->session->memory();
  attune_memory m = {};
  m.constants = report.constants;
  m.state = report.state;
  m.arena = report.arena;
  m.workspace = report.workspace;
  m.session = report.session + own_bytes();
  m.arena_lower_bound = report.arena_lower_bound;
  write(memory, m);
  return succeed(error);
}

int32_t attune_session_batch(const attune_session* session, attune_program program) {
  ProgramKind kind = ProgramKind::predict;
  if (!session || program_of(program, &kind, nullptr) != ATTUNE_OK) return 0;
  return session->session->batch(kind);
}

attune_status attune_session_run(attune_session* session, attune_program program,
                                 attune_error* error) {
  ATTUNE_C_NEED(attune_session_run, session);
  ProgramKind kind;
  ATTUNE_C_RETURN_IF_ERROR(program_of(session, program, &kind, error));
  // What is left to fail is a label or an id beyond its limit.
  return told(error, session->session->run(kind), ATTUNE_ERROR_DATA);
}

attune_status attune_session_reset(attune_session* session, attune_error* error) {
  ATTUNE_C_NEED(attune_session_reset, session);
  session->session->reset_state();
  return succeed(error);
}
