#include "attune/session.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "engine/arena_poison.h"
#include "engine/format/bound_step.h"
#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "engine/kernel_choice.h"
#include "engine/platform/memory_block.h"
#include "kernels/start_pool.h"

namespace attune {
namespace {

constexpr size_t align_up(size_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// state | slack | guard | arena | slack | workspace
struct Layout {
  size_t state, guard, arena, workspace, total;
};

Layout lay_out(size_t state_bytes, size_t arena_bytes, size_t workspace_bytes) {
  Layout layout;
  layout.state = 0;
  layout.guard = align_up(state_bytes + kSegmentSlack);
  layout.arena = layout.guard + ArenaPoison::kGuardBytes;
  layout.workspace = align_up(layout.arena + arena_bytes + kSegmentSlack);
  layout.total = layout.workspace + align_up(workspace_bytes + kSegmentSlack);
  return layout;
}

// What was chosen for a program's steps. How they are called is in the plan.
struct BoundProgram {
  const format::Program* program = nullptr;
  int step_count = 0;
  Backend* backends = nullptr;  // by step
  void** prepared = nullptr;    // of steps whose kernels prepare, one after the other
  size_t prepared_count = 0;
  ArenaPoison poison;

  const format::Step& step(int index) const {
    return *program->steps()->Get(static_cast<unsigned>(index));
  }
  Op op(int index) const { return static_cast<Op>(step(index).op()); }
  const Kernel& kernel(int index) const {
    return *find_kernel(backends[static_cast<size_t>(index)], op(index), compute_type(step(index)));
  }

  ~BoundProgram() {
    if (!prepared) return;
    void** next = prepared;
    for (int i = 0; i < step_count; ++i)
      if (const Kernel& k = kernel(i); k.prepare)
        if (void* mine = *next++) k.release(mine);
  }
};

// A ThreadPool that is made when it is known of what.
class OwnPool {
 public:
  OwnPool() = default;
  OwnPool(const OwnPool&) = delete;
  OwnPool& operator=(const OwnPool&) = delete;
  ~OwnPool() {
    if (made_) made_->~ThreadPool();
  }
  template <class Threads>
  ThreadPool* make(const Threads& threads) {
    return made_ = new (room_) ThreadPool(threads);
  }

 private:
  alignas(ThreadPool) std::byte room_[sizeof(ThreadPool)];
  ThreadPool* made_ = nullptr;
};

}  // namespace

// All of a session but the memory of its segments. Lies at the start of a block, and behind it, in
// the same block: operands of one step, a byte for each step of the programs.
struct [[gnu::visibility("hidden")]] Session::Parts {
  Parts(const Plan& of, const SessionOptions& with) : plan(of), options(with) {}

  static size_t bytes(size_t operands, size_t steps) {
    return align_up(sizeof(Parts) + operands * sizeof(Tensor) + steps * sizeof(Backend));
  }
  // Null: out of memory.
  static Parts* make(const Plan& plan, const SessionOptions& options);
  static void destroy(Parts* parts) {
    const MemoryBlock block = std::move(parts->block);  // goes last
    parts->~Parts();
  }

  const format::Program* wanted(int kind) const {
    const format::Program* program = plan.program(static_cast<ProgramKind>(kind));
    return options.programs >> kind & 1 ? program : nullptr;
  }
  bool has(ProgramKind kind) const { return bound(kind).program != nullptr; }
  BoundProgram& bound(ProgramKind kind) { return programs[static_cast<size_t>(kind)]; }
  const BoundProgram& bound(ProgramKind kind) const { return programs[static_cast<size_t>(kind)]; }
  // Kernels that take memory of the heap.
  bool may_prepare() const {
    return (options.memory.empty() && !options.allocator) ||
           options.backend == BackendChoice::xnnpack;
  }
  SegmentPlaces places() const { return {plan.constants().data(), state.data(), arena.data()}; }
  Status out_of_memory(size_t bytes) const {
    return Status::error("%s: cannot allocate %zu bytes; use a smaller batch or scheme",
                         plan.name(), bytes);
  }

  Status choose(ProgramKind kind);
  Status choose_all();
  Status place();
  MemoryReport report(size_t held) const;  // `held` by kernels, beside the workspace
  void copy_initial_state();
  Status prepare(BoundProgram& program);
  Status check_limits(ProgramKind kind) const;

  const Plan& plan;
  SessionOptions options;
  Session session{*this};
  MemoryBlock block;           // where this lies, unless in the caller's memory
  MemoryBlock segment_block;   // of the segments, the same
  MemoryBlock prepared_block;  // of pointers to what kernels prepared, the same
  size_t operand_count = 0, step_count = 0, prepared_count = 0;
  Backend* backends = nullptr;  // of all steps
  BoundStep step;               // the one that runs
  OwnPool own_pool;
  ThreadPool* pool = nullptr;
  ThreadPool serial{1};  // for steps too small to share
  size_t workspace_bytes = 0, required_bytes = 0;
  std::span<std::byte> state, arena, workspace;
  size_t held_bytes = 0, session_bytes = 0;
  size_t frozen_bytes = 0;  // what kernels that prepare may pack, as it is in the plan
  int last_run = -1;        // a program; -1: none, or it failed
  StepObserver observer = nullptr;
  void* observer_context = nullptr;
  // Last, so that they go first: kernels release what they prepared while the memory that they
  // looked at is still there.
  BoundProgram programs[kProgramCount];
};

size_t Session::own_bytes(size_t state, size_t arena, size_t scratch, size_t operands, size_t steps,
                          size_t prepared, int threads) {
  const size_t segments = taken_bytes(lay_out(state, arena, scratch).total);
  const size_t pointers = prepared > 0 ? taken_bytes(prepared * sizeof(void*)) : 0;
  return taken_bytes(Parts::bytes(operands, steps)) + pointers + ThreadPool::bytes(threads) +
         (segments - state - arena - scratch);
}

void Session::operator delete(Session* session, std::destroying_delete_t) {
  Parts::destroy(&session->parts_);
}

Session::Parts* Session::Parts::make(const Plan& plan, const SessionOptions& options) {
  size_t operands = 0, steps = 0;
  for (int k = 0; k < kProgramCount; ++k) {
    const format::Program* program = plan.program(static_cast<ProgramKind>(k));
    if (!program || !(options.programs >> k & 1)) continue;
    operands = std::max(operands, most_operands(*program));
    steps += program->steps()->size();
  }
  const size_t needed = bytes(operands, steps);
  MemoryBlock own;
  std::byte* at = nullptr;
  if (options.memory.size() >= needed)
    at = options.memory.data();
  else if (options.memory.empty() && own.allocate(options.allocator, needed))
    at = own.data();
  if (!at) return nullptr;
  auto* parts = new (at) Parts(plan, options);
  parts->block = std::move(own);
  parts->operand_count = operands, parts->step_count = steps;
  auto* room = reinterpret_cast<Tensor*>(at + sizeof(Parts));
  parts->step = BoundStep(std::uninitialized_default_construct_n(room, operands) - operands);
  parts->backends = reinterpret_cast<Backend*>(room + operands);
  return parts;
}

Status Session::Parts::choose_all() {
  if (options.pool)
    pool = options.pool;
  else if (options.parallel_for)
    pool = own_pool.make(options.parallel_for);
  else if (pool = own_pool.make(std::max(options.threads, 1)); !is_started(*pool, options.threads))
    return Status::error("%s: the system does not give %d threads; ask for fewer (--threads)",
                         plan.name(), options.threads);
  step.all = pool, step.one = &serial;

  // The workspace depends on the kernels, and these on the operands: choose without memory first.
  Backend* next = backends;
  for (int k = 0; k < kProgramCount; ++k) {
    const format::Program* program = wanted(k);
    if (!program) continue;
    programs[k].program = program;
    programs[k].backends = next;
    next += program->steps()->size();
    ATTUNE_RETURN_IF_ERROR(choose(static_cast<ProgramKind>(k)));
    prepared_count += programs[k].prepared_count;
  }
  const format::Plan& table = plan.table();
  // Each of them was checked to be less than a quarter of what can be addressed, but for this one.
  if (workspace_bytes > SIZE_MAX / 4) return out_of_memory(workspace_bytes);
  const size_t segments = lay_out(table.state_bytes(), table.arena_bytes(), workspace_bytes).total;
  required_bytes =
      bytes(operand_count, step_count) + align_up(prepared_count * sizeof(void*)) + segments;
  session_bytes =
      own_bytes(static_cast<size_t>(table.state_bytes()), static_cast<size_t>(table.arena_bytes()),
                workspace_bytes, operand_count, step_count, prepared_count,
                options.pool || options.parallel_for ? 1 : pool->threads());
  return Status::ok();
}

// Chooses the kernels of a program's steps, and raises the workspace to what they need.
Status Session::Parts::choose(ProgramKind kind) {
  BoundProgram& program = bound(kind);
  const int steps = static_cast<int>(program.program->steps()->size());
  alignas(64) static std::byte stand_in[64];
  for (; program.step_count < steps; ++program.step_count) {
    step.read(*program.program, program.step_count, {plan.constants().data(), stand_in, stand_in});
    const format::Step& described = program.step(program.step_count);
    const DType real = compute_type(described);
    ChosenKernel chosen;
    if (described.backend() > 0 && options.backend == BackendChoice::best) {
      const auto baked = static_cast<Backend>(described.backend() - 1);
      chosen = kernel_of(baked, real, step.op, step.args);
      if (!chosen.kernel)
        return Status::error(
            "%s: %s: the plan was compiled for a kernel of %s, which this device does not have; "
            "compile it without --bake-kernels, or choose a backend",
            plan.name(), text_of(described.name()), backend_name(baked));
    }
    if (!chosen.kernel || (chosen.kernel->prepare && !may_prepare()))
      chosen = choose_kernel(options.backend, real, step.op, step.args, 0, may_prepare());
    if (!chosen.kernel)
      return Status::error("%s: %s: this library has no kernel of %s in %s; build it with that",
                           plan.name(), text_of(described.name()), op_name(step.op),
                           dtype_name(real));
    program.backends[program.step_count] = chosen.backend;
    if (chosen.kernel->prepare) {
      ++program.prepared_count;
      for (int i = 0; i < step.args.num_inputs; ++i)
        if (step.args.inputs[i].frozen) frozen_bytes += step.args.inputs[i].bytes();
    }
    if (chosen.kernel->workspace_bytes)
      workspace_bytes =
          std::max(workspace_bytes, chosen.kernel->workspace_bytes(step.args, pool->threads()));
  }
  return Status::ok();
}

// Takes memory for the segments, and lets kernels prepare.
Status Session::Parts::place() {
  const format::Plan& table = plan.table();
  const Layout layout = lay_out(table.state_bytes(), table.arena_bytes(), workspace_bytes);
  const size_t pointers = prepared_count * sizeof(void*);
  std::byte* memory = nullptr;
  void** next = nullptr;
  if (options.memory.empty()) {
    if (!segment_block.allocate(options.allocator, layout.total))
      return out_of_memory(layout.total);
    memory = segment_block.data();
    if (pointers > 0 && !prepared_block.allocate(options.allocator, pointers))
      return out_of_memory(pointers);
    next = prepared_block.as<void*>();
  } else {
    if (options.memory.size() < required_bytes)
      return Status::error("%s: the session needs %zu bytes, and was given %zu", plan.name(),
                           required_bytes, options.memory.size());
    memory = options.memory.data() + bytes(operand_count, step_count);
    next = reinterpret_cast<void**>(memory);
    memory += align_up(pointers);
    std::memset(static_cast<void*>(next), 0, align_up(pointers) + layout.total);
  }
  state = {memory + layout.state, static_cast<size_t>(table.state_bytes())};
  arena = {memory + layout.arena, static_cast<size_t>(table.arena_bytes())};
  workspace = {memory + layout.workspace, workspace_bytes};
  copy_initial_state();  // the rest is zero already
  if (options.poison) ArenaPoison::set_guards(arena);

  for (BoundProgram& program : programs) {
    if (!program.program) continue;
    if (program.prepared_count > 0) {
      program.prepared = next;
      next += program.prepared_count;
      ATTUNE_RETURN_IF_ERROR(prepare(program));
    }
    if (options.poison && !program.poison.create(*program.program, arena, options.allocator))
      return out_of_memory(arena.size());
  }
  return Status::ok();
}

// Lets kernels pack what is frozen. One that cannot hands over to the next backend.
Status Session::Parts::prepare(BoundProgram& program) {
  void** next = program.prepared;
  for (int i = 0; i < program.step_count; ++i) {
    if (!program.kernel(i).prepare) continue;
    step.read(*program.program, i, places());
    step.args.workspace = workspace.data();
    size_t held = 0;
    *next = program.kernel(i).prepare(step.args, &held);
    held_bytes += held;
    if (*next) {
      ++next;
      continue;
    }
    Backend& backend = program.backends[i];
    const int failed = place_in_order(options.backend, step.op, step.args, backend);
    const ChosenKernel other = choose_kernel(options.backend, compute_type(program.step(i)),
                                             step.op, step.args, failed + 1);
    if (other.kernel) backend = other.backend;
    if (!other.kernel || other.kernel->prepare ||
        (other.kernel->workspace_bytes &&
         other.kernel->workspace_bytes(step.args, pool->threads()) > workspace.size()))
      return Status::error("%s: %s: no kernel could be prepared; try --backend reference",
                           plan.name(), op_name(step.op));
  }
  return Status::ok();
}

namespace {

Status check_memory(const Plan& plan, const SessionOptions& options) {
  if (reinterpret_cast<uintptr_t>(options.memory.data()) % kTensorAlignment == 0)
    return Status::ok();
  return Status::error("%s: the session's memory must be aligned to %zu bytes", plan.name(),
                       kTensorAlignment);
}

}  // namespace

Status Session::create(const Plan& plan, const SessionOptions& options,
                       std::unique_ptr<Session>* session) {
  ATTUNE_RETURN_IF_ERROR(check_memory(plan, options));
  Parts* parts = Parts::make(plan, options);
  if (!parts) {
    if (options.memory.empty())
      return Status::error(
          "%s: out of memory for a session%s", plan.name(),
          options.allocator ? "" : "; give SessionOptions::memory or an allocator");
    return Status::error("%s: the session needs more than %zu bytes; ask Session::required_bytes",
                         plan.name(), options.memory.size());
  }
  std::unique_ptr<Session> made(&parts->session);
  ATTUNE_RETURN_IF_ERROR(parts->choose_all());
  ATTUNE_RETURN_IF_ERROR(parts->place());
  *session = std::move(made);
  return Status::ok();
}

Status Session::required_bytes(const Plan& plan, const SessionOptions& options, size_t* bytes) {
  ATTUNE_RETURN_IF_ERROR(check_memory(plan, options));
  Parts* parts = Parts::make(plan, options);
  if (!parts) return Status::error("%s: out of memory to measure a session", plan.name());
  const std::unique_ptr<Session> made(&parts->session);
  // A session that has it all in one block takes no kernels that allocate.
  if (options.backend != BackendChoice::xnnpack && parts->may_prepare())
    parts->options.allocator = {.allocate = [](void*, size_t, size_t) -> void* { return nullptr; }};
  ATTUNE_RETURN_IF_ERROR(parts->choose_all());
  *bytes = parts->required_bytes;
  return Status::ok();
}

Status Session::estimate_memory(const Plan& plan, const SessionOptions& options,
                                MemoryReport* memory) {
  ATTUNE_RETURN_IF_ERROR(check_memory(plan, options));
  Parts* parts = Parts::make(plan, options);
  if (!parts) return Status::error("%s: out of memory to measure a session", plan.name());
  const std::unique_ptr<Session> made(&parts->session);
  ATTUNE_RETURN_IF_ERROR(parts->choose_all());
  *memory = parts->report(parts->frozen_bytes);
  return Status::ok();
}

const Plan& Session::plan() const { return parts_.plan; }
const Allocator& Session::allocator() const { return parts_.options.allocator; }
std::span<std::byte> Session::state() const { return parts_.state; }

bool Session::ran_last(ProgramKind kind) const { return parts_.last_run == static_cast<int>(kind); }
bool Session::has(ProgramKind kind) const { return parts_.has(kind); }

int Session::batch(ProgramKind kind) const {
  return has(kind) ? parts_.bound(kind).program->batch() : 0;
}

int Session::port_count(ProgramKind kind) const {
  return has(kind) ? static_cast<int>(parts_.bound(kind).program->ports()->size()) : 0;
}

SessionPort Session::port(ProgramKind kind, int index) const {
  if (index < 0 || index >= port_count(kind)) return {};
  const format::Program& program = *parts_.bound(kind).program;
  const format::Port& port = *program.ports()->Get(static_cast<unsigned>(index));
  const format::Tensor& tensor = *program.tensors()->Get(static_cast<unsigned>(port.tensor()));
  return {port.name()->string_view(), role_of(port), placed_tensor(tensor, parts_.places()),
          port.limit()};
}

SessionPort Session::port(ProgramKind kind, PortRole role, int index) const {
  for (int i = 0; i < port_count(kind); ++i)
    if (const SessionPort found = port(kind, i); found.role == role && index-- == 0) return found;
  return {};
}

Tensor Session::input(ProgramKind kind, std::string_view name) const {
  for (int i = 0; i < port_count(kind); ++i)
    if (const SessionPort found = port(kind, i); is_fed(found.role) && found.name == name)
      return found.tensor;
  return {};
}

Tensor Session::output(ProgramKind kind, std::string_view name) const {
  for (int i = 0; i < port_count(kind); ++i)
    if (const SessionPort found = port(kind, i); !is_fed(found.role) && found.name == name)
      return found.tensor;
  return name == "output" && kind == ProgramKind::predict ? port(kind, PortRole::output).tensor
                                                          : Tensor{};
}

Status Session::Parts::check_limits(ProgramKind kind) const {
  for (int p = 0; p < session.port_count(kind); ++p) {
    const SessionPort fed = session.port(kind, p);
    if (!is_fed(fed.role) || fed.limit == 0) continue;
    const int32_t* values = fed.tensor.as<int32_t>();
    const int64_t count = fed.tensor.shape.elements();
    for (int64_t i = 0; i < count; ++i)
      if (values[i] < 0 || values[i] >= fed.limit)
        return Status::error(
            "%s: %s: %.*s holds %d for example %lld of the batch, which is not in 0 .. %d",
            plan.name(), program_name(kind), static_cast<int>(fed.name.size()), fed.name.data(),
            static_cast<int>(values[i]), static_cast<long long>(i * session.batch(kind) / count),
            static_cast<int>(fed.limit - 1));
  }
  return Status::ok();
}

Status Session::run(ProgramKind kind) {
  Parts& p = parts_;
  if (!has(kind))
    return Status::error("%s: the plan or this session has no program %s", p.plan.name(),
                         program_name(kind));
  BoundProgram& bound = p.bound(kind);
  ATTUNE_RETURN_IF_ERROR(p.check_limits(kind));
  const bool poison = p.options.poison;
  p.last_run = -1;
  if (poison) bound.poison.before_run();
  void** prepared = bound.prepared;
  void** repeated = nullptr;  // of the first repeated step
  each_run(*bound.program, [&](int i, int repetition) {
    if (i == bound.program->repeat_begin())
      prepared = repetition == 0 ? (repeated = prepared) : repeated;
    const Kernel& kernel = bound.kernel(i);
    p.step.read(*bound.program, i, p.places(), repetition);
    p.step.args.workspace = p.workspace.data();
    if (kernel.prepare) p.step.args.prepared = *prepared++;
    kernel.run(p.step.args);
    if (p.observer) p.observer(p.observer_context, kind, i, p.step.args);
    if (poison) bound.poison.after_step();
  });
  if (poison && !ArenaPoison::guards_intact(p.arena))
    return Status::error("%s: %s wrote outside the arena", p.plan.name(), program_name(kind));
  p.last_run = static_cast<int>(kind);
  return Status::ok();
}

void Session::Parts::copy_initial_state() {
  const auto initial = plan.initial_state();
  if (!initial.empty()) std::memcpy(state.data(), initial.data(), initial.size());
}

void Session::reset_state() {
  parts_.copy_initial_state();
  const auto rest = parts_.state.subspan(parts_.plan.initial_state().size());
  if (!rest.empty()) std::memset(rest.data(), 0, rest.size());
}

MemoryReport Session::Parts::report(size_t held) const {
  MemoryReport report;
  report.constants = plan.constants().size();
  report.state = static_cast<size_t>(plan.table().state_bytes());
  report.arena = static_cast<size_t>(plan.table().arena_bytes());
  report.workspace = workspace_bytes + held;
  report.session = session_bytes;
  for (const BoundProgram& bound : programs)
    if (bound.program) {
      report.kept_gradients += kept_gradient_bytes(*bound.program);
      report.arena_lower_bound = std::max(report.arena_lower_bound,
                                          static_cast<size_t>(bound.program->arena_lower_bound()));
    }
  return report;
}

MemoryReport Session::memory() const { return parts_.report(parts_.held_bytes); }

int Session::threads() const { return parts_.pool->threads(); }
int Session::step_count(ProgramKind kind) const { return parts_.bound(kind).step_count; }
const char* Session::step_name(ProgramKind kind, int index) const {
  return text_of(parts_.bound(kind).step(index).name());
}
Op Session::step_op(ProgramKind kind, int index) const { return parts_.bound(kind).op(index); }
Backend Session::step_backend(ProgramKind kind, int index) const {
  return parts_.bound(kind).backends[index];
}
const KernelArgs& Session::step_args(ProgramKind kind, int index) const {
  parts_.step.read(*parts_.bound(kind).program, index, parts_.places());
  return parts_.step.args;
}
void Session::set_observer(StepObserver observer, void* context) {
  parts_.observer = observer;
  parts_.observer_context = context;
}

}  // namespace attune
