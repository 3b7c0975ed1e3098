#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "attune/allocator.h"
#include "attune/backend.h"
#include "attune/export.h"
#include "attune/plan.h"
#include "attune/port.h"
#include "attune/status.h"
#include "attune/thread_pool.h"

namespace attune {

enum class Op : uint16_t;
struct KernelArgs;

struct SessionOptions {
  BackendChoice backend = BackendChoice::best;
  int threads = 1;
  // The caller's thread pool; it must outlive the session. Null: the session makes one of
  // `threads`, or of `parallel_for`, where that is given.
  ThreadPool* pool = nullptr;
  ParallelFor parallel_for = {};
  // Memory for all of the session, aligned to 64 bytes; `Session::required_bytes` tells how much.
  // Nothing is allocated beside it, unless threads are to be made. Empty: `allocator` gives it, or
  // where that is none, the system.
  std::span<std::byte> memory = {};
  // Gives memory to the session where `memory` is empty, and to what is made for it (trainers).
  // With it or with `memory`, kernels that allocate for themselves (XNNPACK's) run no step unless
  // `backend` names them.
  Allocator allocator = {};
  // Bit i: prepare program i. Programs left out need no packed weights.
  unsigned programs = (1u << kProgramCount) - 1;
  // For tests: fill dead arena memory with NaN after every step, and put guard bytes around the
  // arena that are checked after every run.
  bool poison = false;
};

// Bytes, in the parts that a user sees.
struct MemoryReport {
  size_t constants = 0;  // read-only, mapped from the plan
  size_t state = 0;      // trained parameters, optimizer state
  size_t arena = 0;      // planned temporaries, inputs and outputs
  size_t workspace = 0;  // scratch and packed weights of the kernels, as far as these report it
  size_t session = 0;    // the session's own: its objects, padding, the heap's headers
  size_t arena_lower_bound = 0;
  size_t kept_gradients = 0;  // of the arena: gradients that outlast their step (--keep-gradients)
  // What the session takes from the system while it runs; the stacks of threads are not in it.
  size_t ram() const { return state + arena + workspace + session; }
  size_t total() const { return constants + state + arena + workspace + session; }
};

// A plan with its memory: programs to run over one state and one arena. Allocates in `create` only.
// Not thread-safe: one session, one caller at a time.
class ATTUNE_API Session {
 public:
  // The plan must outlive the session.
  static Status create(const Plan& plan, const SessionOptions& options,
                       std::unique_ptr<Session>* session);
  // How much SessionOptions::memory must have. Takes a few kB for a moment, from `memory` where
  // there are some, else from `allocator` or the system.
  static Status required_bytes(const Plan& plan, const SessionOptions& options, size_t* bytes);
  // What `memory` would report, without making a session; weights that kernels would pack count as
  // they are in the plan. Takes the same few kB.
  static Status estimate_memory(const Plan& plan, const SessionOptions& options,
                                MemoryReport* memory);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Plan& plan() const;
  bool has(ProgramKind kind) const;
  int batch(ProgramKind kind) const;
  // The ports of a program: the model's inputs in its order, then what training adds, then what a
  // run makes. Programs share one arena: fill all inputs of a program before each run of it;
  // outputs last until the next run.
  int port_count(ProgramKind kind) const;
  SessionPort port(ProgramKind kind, int index) const;
  // The port number `index` of those with a role, absent where there is none. The model's own
  // inputs and outputs are in its order.
  SessionPort port(ProgramKind kind, PortRole role, int index = 0) const;
  // The memory of a port by name, absent where the program has none: the model's inputs and outputs
  // by their names ("output": the first one of predict), the others by `port_name`.
  Tensor input(ProgramKind kind, std::string_view name) const;
  Tensor output(ProgramKind kind, std::string_view name) const;

  // Runs one program. Fails, having run nothing, where a label or an id is beyond its port's limit.
  Status run(ProgramKind kind);
  // Whether this program was the last to run, so that what it made is still in the arena.
  bool ran_last(ProgramKind kind) const;

  // Trained parameters and optimizer state, as the plan lays them out.
  std::span<std::byte> state() const;
  // Puts parameters and optimizer state back to what the plan holds.
  void reset_state();

  MemoryReport memory() const;
  int threads() const;
  // For reports: how many steps a program has, and what runs step `index`.
  int step_count(ProgramKind kind) const;
  const char* step_name(ProgramKind kind, int index) const;
  Op step_op(ProgramKind kind, int index) const;
  Backend step_backend(ProgramKind kind, int index) const;
  // Without what kernels were given to work with. Valid until the next call or run.
  const KernelArgs& step_args(ProgramKind kind, int index) const;
  // MemoryReport::session. `scratch` is the largest workspace that a step shares with the others,
  // `operands` the most that a step has, `steps` all programs' together, `prepared` counts those
  // whose kernels prepare something.
  static size_t own_bytes(size_t state, size_t arena, size_t scratch, size_t operands, size_t steps,
                          size_t prepared, int threads);
  // Called after every step, for measuring and comparing; null: not called.
  using StepObserver = void (*)(void* context, ProgramKind kind, int step, const KernelArgs& args);
  void set_observer(StepObserver observer, void* context);

  // Where memory for it came from: none, the system.
  const Allocator& allocator() const;

  // `delete`, which std::unique_ptr does: destroys the session, and gives its memory back to where
  // that came from.
  static void operator delete(Session* session, std::destroying_delete_t);
  ~Session() = default;  // clang wants it to be seen

 private:
  struct Parts;
  explicit Session(Parts& parts) : parts_(parts) {}

  Parts& parts_;
};

}  // namespace attune
