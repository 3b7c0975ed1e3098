#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "attune/plan.h"
#include "attune/port.h"
#include "attune/status.h"
#include "engine/kernel_choice.h"
#include "engine/platform/memory_block.h"
#include "kernels/thread_pool.h"

namespace attune {

class BoundStep;
struct SegmentPlaces;

struct SessionOptions {
  BackendChoice backend = BackendChoice::best;
  int threads = 1;
  // The caller's thread pool; it must outlive the session. Null: the session makes one of
  // `threads`.
  ThreadPool* pool = nullptr;
  // Memory for state, arena and workspace, aligned to 64 bytes; `Session::required_bytes` tells how
  // much. Empty: the session allocates it.
  std::span<std::byte> memory = {};
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
  // What the session takes from the system while it runs; the stacks of threads are not in it.
  size_t ram() const { return state + arena + workspace + session; }
  size_t total() const { return constants + state + arena + workspace + session; }
};

// A plan with its memory: programs to run over one state and one arena. Allocates in `create` only.
// Not thread-safe: one session, one caller at a time.
class Session {
 public:
  // The plan must outlive the session.
  static Status create(const Plan& plan, const SessionOptions& options,
                       std::unique_ptr<Session>* session);
  static Status required_bytes(const Plan& plan, const SessionOptions& options, size_t* bytes);
  ~Session();

  const Plan& plan() const { return plan_; }
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
  bool ran_last(ProgramKind kind) const { return last_run_ == static_cast<int>(kind); }

  // Trained parameters and optimizer state, as the plan lays them out.
  std::span<std::byte> state() const { return state_; }
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
  // MemoryReport::session: own_bytes, and program_bytes of each program. `scratch` is the largest
  // workspace that a step shares with the others, `operands` the most that a step has, `prepared`
  // counts steps whose kernels prepare something.
  static size_t own_bytes(size_t state, size_t arena, size_t scratch, size_t operands, int threads);
  static size_t program_bytes(size_t steps, size_t prepared);
  // Called after every step, for measuring and comparing; null: not called.
  using StepObserver = void (*)(void* context, ProgramKind kind, int step, const KernelArgs& args);
  void set_observer(StepObserver observer, void* context);

  struct Bound;  // a program's bound steps

 private:
  explicit Session(const Plan& plan);
  Status bind(const SessionOptions& options);
  void copy_initial_state();
  Status choose(const SessionOptions& options, ProgramKind kind, size_t* workspace_bytes);
  Status prepare(const SessionOptions& options, Bound& bound);
  Status check_limits(ProgramKind kind) const;
  SegmentPlaces places() const;

  const Plan& plan_;
  std::unique_ptr<Bound[]> programs_;
  std::unique_ptr<BoundStep> step_;  // the one that runs
  std::unique_ptr<ThreadPool> own_pool_;
  ThreadPool* pool_ = nullptr;
  ThreadPool serial_{1};  // for steps too small to share
  MemoryBlock owned_memory_;
  std::span<std::byte> state_, arena_, workspace_;
  size_t held_bytes_ = 0, session_bytes_ = 0;
  bool poison_ = false;
  int last_run_ = -1;  // a program; -1: none, or it failed
  StepObserver observer_ = nullptr;
  void* observer_context_ = nullptr;
};

}  // namespace attune
