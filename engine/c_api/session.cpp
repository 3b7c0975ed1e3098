#include "engine/c_api/session_options.h"
#include "engine/format/plan_generated.h"
#include "engine/platform/memory.h"

using namespace attune;
using namespace attune::c_api;

namespace {

// Memory of trainers: of their own block where they have one, else of the session's allocator.
void* allocate_for_trainer(void* context, size_t bytes, size_t alignment) {
  auto& session = *static_cast<attune_session*>(context);
  const attune_allocator& callers = session.offer.allocator;
  if (session.trainer_block) {
    const Allocator block = session.trainer_block->allocator();
    return block.allocate(block.context, bytes, alignment);
  }
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

// Why a session could not be made: the plan, or memory.
attune_status refusal(const Plan& plan, const SessionWish& wanted, const Status& status,
                      attune_error* error) {
  const SessionOptions& options = wanted.options;
  if (memory_was_refused()) return told(error, status, ATTUNE_ERROR_MEMORY);
  size_t bytes = 0;
  if (const Status measured = Session::required_bytes(plan, options, &bytes); !measured) {
    const size_t least = plan.table().state_bytes() + plan.table().arena_bytes();
    const bool small =
        memory_was_refused() || (!options.memory.empty() && options.memory.size() < least);
    return told(error, small ? status : measured, small ? ATTUNE_ERROR_MEMORY : ATTUNE_ERROR_PLAN);
  }
  if (options.memory.empty()) return told(error, status, ATTUNE_ERROR_MEMORY);
  return fail(error, ATTUNE_ERROR_MEMORY,
              "%s: the session needs %zu bytes aligned to %zu, and was given %zu; ask "
              "attune_session_bytes",
              plan.name(), session_object_bytes() + bytes, kTensorAlignment,
              wanted.offer.memory_bytes);
}

}  // namespace

namespace attune::c_api {

attune_status program_of(attune_program number, ProgramKind* kind, attune_error* error) {
  if (number < 0 || number >= kProgramCount)
    return fail(error, ATTUNE_ERROR_ARGUMENT, "there is no program %d; give 0 .. %d",
                static_cast<int>(number), kProgramCount - 1);
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
  SessionWish wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_session_options(given, &wanted, error));
  wanted.options.allocator = engine_allocator(wanted.offer);
  wanted.options.parallel_for = threads_of(&wanted.parallel);
  size_t engine = 0;
  ATTUNE_C_RETURN_IF_ERROR(MemoryWatch::told(error, ATTUNE_ERROR_PLAN, [&] {
    return Session::required_bytes(plan->plan, wanted.options, &engine);
  }));
  *bytes = session_object_bytes() + engine;
  return succeed(error);
}

attune_status attune_session_create(const attune_plan* plan, const attune_session_options* given,
                                    attune_session** session, attune_error* error) {
  ATTUNE_C_NEED(attune_session_create, plan);
  ATTUNE_C_NEED(attune_session_create, session);
  SessionWish wanted;
  ATTUNE_C_RETURN_IF_ERROR(read_session_options(given, &wanted, error));
  Home home;
  ATTUNE_C_RETURN_IF_ERROR(
      find_home(wanted.offer, session_object_bytes(), "the session", &home, error));
  auto* made = new (home.block.data()) attune_session;
  made->home = home;
  made->offer = wanted.offer;
  made->plan = plan;
  made->parallel = wanted.parallel;
  made->clock = wanted.clock;
  wanted.options.parallel_for = threads_of(&made->parallel);
  if (wanted.offer.memory) {
    wanted.options.memory = home.block.subspan(session_object_bytes());
    // An empty one would mean: of the session's own.
    if (wanted.options.memory.empty()) wanted.options.memory = home.block.first(1);
  }
  if (wanted.offer.memory || wanted.offer.allocator.allocate)
    wanted.options.allocator = {made, allocate_for_trainer, release_for_trainer};
  const MemoryWatch watch;
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
  m.session = report.session + session_object_bytes();
  m.arena_lower_bound = report.arena_lower_bound;
  m.kept_gradients = report.kept_gradients;
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
