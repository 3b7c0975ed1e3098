#include "attune/session.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/arena_poison.h"
#include "engine/format/bound_step.h"
#include "engine/format/plan_tensor.h"
#include "kernels/heap_block.h"

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

}  // namespace

// What was chosen for a program's steps. How they are called is in the plan.
struct Session::Bound {
  const format::Program* program = nullptr;
  int step_count = 0;
  std::unique_ptr<Backend[]> backends;  // by step
  std::unique_ptr<void*[]> prepared;    // of steps whose kernels prepare, one after the other
  size_t prepared_count = 0;
  std::unique_ptr<ArenaPoison> poison;

  const format::Step& step(int index) const {
    return *program->steps()->Get(static_cast<unsigned>(index));
  }
  Op op(int index) const { return static_cast<Op>(step(index).op()); }
  const Kernel& kernel(int index) const {
    return *find_kernel(backends[static_cast<size_t>(index)], op(index), compute_type(step(index)));
  }

  ~Bound() {
    if (!prepared) return;
    void** next = prepared.get();
    for (int i = 0; i < step_count; ++i)
      if (const Kernel& k = kernel(i); k.prepare)
        if (void* mine = *next++) k.release(mine);
  }
};

Session::Session(const Plan& plan) : plan_(plan) {}

size_t Session::own_bytes(size_t state, size_t arena, size_t scratch, size_t operands,
                          int threads) {
  const size_t block = MemoryBlock::taken_bytes(lay_out(state, arena, scratch).total);
  return sizeof(Session) + kProgramCount * sizeof(Bound) + 2 * kHeapBlockBytes +
         ThreadPool::bytes(threads) + BoundStep::bytes(operands) +
         (block - state - arena - scratch);
}

size_t Session::program_bytes(size_t steps, size_t prepared) {
  return steps * sizeof(Backend) + prepared * sizeof(void*) + 2 * kHeapBlockBytes;
}

// Kernels release what they prepared while the memory they looked at is still there.
Session::~Session() { programs_.reset(); }

namespace {

Status out_of_memory(const Plan& plan, size_t bytes) {
  return Status::error("%s: cannot allocate %zu bytes; use a smaller batch or scheme", plan.name(),
                       bytes);
}

}  // namespace

Status Session::create(const Plan& plan, const SessionOptions& options,
                       std::unique_ptr<Session>* session) {
  std::unique_ptr<Session> made(new (std::nothrow) Session(plan));
  if (!made) return out_of_memory(plan, sizeof(Session));
  ATTUNE_RETURN_IF_ERROR(made->bind(options));
  *session = std::move(made);
  return Status::ok();
}

Status Session::bind(const SessionOptions& options) {
  const format::Plan& table = plan_.table();
  poison_ = options.poison;
  if (options.pool) {
    pool_ = options.pool;
  } else {
    own_pool_.reset(new (std::nothrow) ThreadPool(std::max(options.threads, 1)));
    pool_ = own_pool_.get();
    if (!pool_) return out_of_memory(plan_, sizeof(ThreadPool));
  }
  programs_.reset(new (std::nothrow) Bound[kProgramCount]);
  if (!programs_) return out_of_memory(plan_, kProgramCount * sizeof(Bound));

  size_t operands = 0;
  const auto wanted = [&](int k) {
    const format::Program* program = plan_.program(static_cast<ProgramKind>(k));
    return options.programs >> k & 1 ? program : nullptr;
  };
  for (int k = 0; k < kProgramCount; ++k)
    if (const format::Program* program = wanted(k))
      operands = std::max(operands, most_operands(*program));
  step_.reset(new (std::nothrow) BoundStep);
  if (!step_ || !step_->allocate(operands)) return out_of_memory(plan_, BoundStep::bytes(operands));
  step_->all = pool_, step_->one = &serial_;

  // The workspace depends on the kernels, and these on the operands: choose without memory first.
  size_t workspace_bytes = 0;
  for (int k = 0; k < kProgramCount; ++k)
    if (wanted(k))
      ATTUNE_RETURN_IF_ERROR(choose(options, static_cast<ProgramKind>(k), &workspace_bytes));

  const Layout layout = lay_out(table.state_bytes(), table.arena_bytes(), workspace_bytes);
  std::byte* memory = options.memory.data();
  if (options.memory.empty()) {
    if (!owned_memory_.allocate(layout.total)) return out_of_memory(plan_, layout.total);
    memory = owned_memory_.data();
  } else if (options.memory.size() < layout.total ||
             reinterpret_cast<uintptr_t>(memory) % kTensorAlignment != 0) {
    return Status::error("%s: the session needs %zu bytes aligned to %zu, and was given %zu",
                         plan_.name(), layout.total, kTensorAlignment, options.memory.size());
  }
  if (!options.memory.empty()) std::memset(memory, 0, layout.total);
  state_ = {memory + layout.state, table.state_bytes()};
  arena_ = {memory + layout.arena, table.arena_bytes()};
  workspace_ = {memory + layout.workspace, workspace_bytes};
  copy_initial_state();  // the rest is zero already
  if (poison_) ArenaPoison::set_guards(arena_);

  session_bytes_ = own_bytes(state_.size(), arena_.size(), workspace_.size(), operands,
                             options.pool ? 1 : pool_->threads());
  for (int k = 0; k < kProgramCount; ++k) {
    const format::Program* program = wanted(k);
    if (!program) continue;
    Bound& bound = programs_[static_cast<size_t>(k)];
    session_bytes_ += program_bytes(program->steps()->size(), bound.prepared_count);
    ATTUNE_RETURN_IF_ERROR(prepare(options, bound));
    if (poison_) {
      bound.poison.reset(new (std::nothrow) ArenaPoison(*program, arena_));
      if (!bound.poison || !bound.poison->good()) return out_of_memory(plan_, arena_.size());
    }
  }
  return Status::ok();
}

// Chooses the kernels of a program's steps, and raises the workspace to what they need.
Status Session::choose(const SessionOptions& options, ProgramKind kind, size_t* workspace_bytes) {
  const format::Program& program = *plan_.program(kind);
  Bound& bound = programs_[static_cast<size_t>(kind)];
  const size_t steps = program.steps()->size();
  bound.program = &program;
  alignas(64) static std::byte stand_in[64];
  bound.backends.reset(new (std::nothrow) Backend[steps]);
  if (!bound.backends) return out_of_memory(plan_, steps * sizeof(Backend));
  for (; static_cast<size_t>(bound.step_count) < steps; ++bound.step_count) {
    step_->read(program, bound.step_count, {plan_.constants().data(), stand_in, stand_in});
    const format::Step& step = bound.step(bound.step_count);
    const bool baked = step.backend() > 0 && options.backend == BackendChoice::best;
    const ChosenKernel chosen =
        baked ? kernel_of(static_cast<Backend>(step.backend() - 1), compute_type(step), step_->op,
                          step_->args)
              : choose_kernel(options.backend, compute_type(step), step_->op, step_->args);
    if (!chosen.kernel)
      return Status::error(
          "%s: %s: the plan was compiled for a kernel of %s, which this device does not have; "
          "compile it without --bake-kernels, or choose a backend",
          plan_.name(), text_of(step.name()), backend_name(chosen.backend));
    bound.backends[static_cast<size_t>(bound.step_count)] = chosen.backend;
    if (chosen.kernel->prepare) ++bound.prepared_count;
    if (chosen.kernel->workspace_bytes)
      *workspace_bytes =
          std::max(*workspace_bytes, chosen.kernel->workspace_bytes(step_->args, pool_->threads()));
  }
  return Status::ok();
}

// Lets kernels pack what is frozen. One that cannot hands over to the next backend.
Status Session::prepare(const SessionOptions& options, Bound& bound) {
  if (bound.prepared_count == 0) return Status::ok();
  bound.prepared.reset(new (std::nothrow) void* [bound.prepared_count] {});
  if (!bound.prepared) return out_of_memory(plan_, bound.prepared_count * sizeof(void*));
  void** next = bound.prepared.get();
  for (int i = 0; i < bound.step_count; ++i) {
    if (!bound.kernel(i).prepare) continue;
    step_->read(*bound.program, i, places());
    step_->args.workspace = workspace_.data();
    size_t held = 0;
    *next = bound.kernel(i).prepare(step_->args, &held);
    held_bytes_ += held;
    if (*next) {
      ++next;
      continue;
    }
    Backend& backend = bound.backends[static_cast<size_t>(i)];
    const int failed = place_in_order(options.backend, step_->op, step_->args, backend);
    const ChosenKernel other = choose_kernel(options.backend, compute_type(bound.step(i)),
                                             step_->op, step_->args, failed + 1);
    backend = other.backend;
    if (other.kernel->prepare ||
        (other.kernel->workspace_bytes &&
         other.kernel->workspace_bytes(step_->args, pool_->threads()) > workspace_.size()))
      return Status::error("%s: %s: no kernel could be prepared; try --backend reference",
                           plan_.name(), op_name(step_->op));
  }
  return Status::ok();
}

Status Session::required_bytes(const Plan& plan, const SessionOptions& options, size_t* bytes) {
  SessionOptions own = options;
  own.memory = {};
  std::unique_ptr<Session> session;
  ATTUNE_RETURN_IF_ERROR(create(plan, own, &session));
  *bytes =
      lay_out(session->state_.size(), session->arena_.size(), session->workspace_.size()).total;
  return Status::ok();
}

bool Session::has(ProgramKind kind) const {
  return programs_[static_cast<size_t>(kind)].program != nullptr;
}

int Session::batch(ProgramKind kind) const {
  return has(kind) ? programs_[static_cast<size_t>(kind)].program->batch() : 0;
}

SegmentPlaces Session::places() const {
  return {plan_.constants().data(), state_.data(), arena_.data()};
}

int Session::port_count(ProgramKind kind) const {
  return has(kind) ? static_cast<int>(programs_[static_cast<size_t>(kind)].program->ports()->size())
                   : 0;
}

SessionPort Session::port(ProgramKind kind, int index) const {
  if (index < 0 || index >= port_count(kind)) return {};
  const format::Program& program = *programs_[static_cast<size_t>(kind)].program;
  const format::Port& port = *program.ports()->Get(static_cast<unsigned>(index));
  const format::Tensor& tensor = *program.tensors()->Get(static_cast<unsigned>(port.tensor()));
  return {port.name()->string_view(), role_of(port), placed_tensor(tensor, places()), port.limit()};
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

Status Session::check_limits(ProgramKind kind) const {
  for (int p = 0; p < port_count(kind); ++p) {
    const SessionPort fed = port(kind, p);
    if (!is_fed(fed.role) || fed.limit == 0) continue;
    const int32_t* values = fed.tensor.as<int32_t>();
    const int64_t count = fed.tensor.shape.elements();
    for (int64_t i = 0; i < count; ++i)
      if (values[i] < 0 || values[i] >= fed.limit)
        return Status::error(
            "%s: %s: %.*s holds %d for example %lld of the batch, which is not in 0 .. %d",
            plan_.name(), program_name(kind), static_cast<int>(fed.name.size()), fed.name.data(),
            values[i], static_cast<long long>(i * batch(kind) / count), fed.limit - 1);
  }
  return Status::ok();
}

Status Session::run(ProgramKind kind) {
  if (!has(kind))
    return Status::error("%s: the plan or this session has no program %s", plan_.name(),
                         program_name(kind));
  Bound& bound = programs_[static_cast<size_t>(kind)];
  ATTUNE_RETURN_IF_ERROR(check_limits(kind));
  last_run_ = -1;
  if (bound.poison) bound.poison->before_run();
  void** prepared = bound.prepared.get();
  void** repeated = nullptr;  // of the first repeated step
  each_run(*bound.program, [&](int i, int repetition) {
    if (i == bound.program->repeat_begin())
      prepared = repetition == 0 ? (repeated = prepared) : repeated;
    const Kernel& kernel = bound.kernel(i);
    step_->read(*bound.program, i, places(), repetition);
    step_->args.workspace = workspace_.data();
    if (kernel.prepare) step_->args.prepared = *prepared++;
    kernel.run(step_->args);
    if (observer_) observer_(observer_context_, kind, i, step_->args);
    if (bound.poison) bound.poison->after_step();
  });
  if (poison_ && !ArenaPoison::guards_intact(arena_))
    return Status::error("%s: %s wrote outside the arena", plan_.name(), program_name(kind));
  last_run_ = static_cast<int>(kind);
  return Status::ok();
}

void Session::copy_initial_state() {
  const auto initial = plan_.initial_state();
  if (!initial.empty()) std::memcpy(state_.data(), initial.data(), initial.size());
}

void Session::reset_state() {
  copy_initial_state();
  const auto rest = state_.subspan(plan_.initial_state().size());
  if (!rest.empty()) std::memset(rest.data(), 0, rest.size());
}

MemoryReport Session::memory() const {
  MemoryReport report;
  report.constants = plan_.constants().size();
  report.state = state_.size();
  report.arena = arena_.size();
  report.workspace = workspace_.size() + held_bytes_;
  report.session = session_bytes_;
  for (int k = 0; k < kProgramCount; ++k)
    if (const format::Program* program = programs_[static_cast<size_t>(k)].program)
      report.arena_lower_bound =
          std::max<size_t>(report.arena_lower_bound, program->arena_lower_bound());
  return report;
}

int Session::threads() const { return pool_->threads(); }
int Session::step_count(ProgramKind kind) const {
  return programs_[static_cast<size_t>(kind)].step_count;
}
const char* Session::step_name(ProgramKind kind, int index) const {
  return text_of(programs_[static_cast<size_t>(kind)]
                     .program->steps()
                     ->Get(static_cast<unsigned>(index))
                     ->name());
}
Op Session::step_op(ProgramKind kind, int index) const {
  return programs_[static_cast<size_t>(kind)].op(index);
}
Backend Session::step_backend(ProgramKind kind, int index) const {
  return programs_[static_cast<size_t>(kind)].backends[static_cast<size_t>(index)];
}
const KernelArgs& Session::step_args(ProgramKind kind, int index) const {
  step_->read(*programs_[static_cast<size_t>(kind)].program, index, places());
  return step_->args;
}
void Session::set_observer(StepObserver observer, void* context) {
  observer_ = observer;
  observer_context_ = context;
}

}  // namespace attune
