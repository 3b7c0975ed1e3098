#include "engine/session.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/arena_poison.h"
#include "engine/plan_tensor.h"
#include "engine/step_check.h"

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

struct BoundStep {
  const Kernel* kernel = nullptr;
  KernelArgs args;
  Op op = Op::reshape;
  Backend backend = Backend::reference;
  alignas(16) std::byte attrs[kMaxAttrsBytes];

  void use(const ChosenKernel& chosen) { kernel = chosen.kernel, backend = chosen.backend; }
};

struct Session::Bound {
  const format::Program* program = nullptr;
  std::unique_ptr<BoundStep[]> steps;
  int step_count = 0;
  std::unique_ptr<Tensor[]> tensors;   // by the program's index
  std::unique_ptr<Tensor[]> operands;  // of all steps, one after the other
  std::unique_ptr<ArenaPoison> poison;
  size_t bytes = 0;

  ~Bound() {
    for (int i = 0; i < step_count; ++i)
      if (steps[i].args.prepared) steps[i].kernel->release(steps[i].args.prepared);
  }
};

namespace {

// Points a program's tensors into memory. Null segments: addresses are only present or absent.
Status bind_tensors(const Plan& plan, const format::Program& program, std::byte* state,
                    std::byte* arena, Tensor* tensors) {
  for (unsigned i = 0; i < program.tensors()->size(); ++i) {
    const format::Tensor& t = *program.tensors()->Get(i);
    tensors[i] = described_tensor(t);
    switch (t.segment()) {
      case format::Segment::constants:
        tensors[i].data = const_cast<std::byte*>(plan.constants().data()) + t.offset();
        break;
      case format::Segment::state:
        tensors[i].data = state + t.offset();
        break;
      case format::Segment::arena:
        tensors[i].data = arena + t.offset();
        break;
      default:
        break;
    }
  }
  return Status::ok();
}

}  // namespace

Session::Session(const Plan& plan) : plan_(plan) {}

size_t Session::fixed_bytes() { return sizeof(Session) + kProgramCount * sizeof(Bound); }
size_t Session::program_bytes(size_t steps, size_t tensors, size_t operands) {
  return steps * sizeof(BoundStep) + (tensors + operands) * sizeof(Tensor);
}

// Kernels release what they prepared while the memory they looked at is still there.
Session::~Session() { programs_.reset(); }

namespace {

size_t operand_count(const format::Program& program) {
  size_t count = 0;
  for (const format::Step* s : *program.steps())
    count += list_of(s->inputs()).size() + list_of(s->outputs()).size();
  return count;
}

Status out_of_memory(const Plan& plan, size_t bytes) {
  return Status::error("%s: cannot allocate %zu bytes; use a smaller batch or scheme", plan.name(),
                       bytes);
}

// The threads that steps may use: all of them, or the calling one alone.
struct Pools {
  ThreadPool* all;
  ThreadPool* one;
};

Status bind_program(const Plan& plan, const format::Program& program, BackendChoice choice,
                    std::byte* state, std::byte* arena, Pools pools, Session::Bound* bound) {
  const size_t steps = program.steps()->size(), tensors = program.tensors()->size();
  const size_t operands = operand_count(program);
  bound->program = &program;
  bound->bytes = Session::program_bytes(steps, tensors, operands);
  bound->steps.reset(new (std::nothrow) BoundStep[steps]);
  bound->tensors.reset(new (std::nothrow) Tensor[tensors]);
  bound->operands.reset(new (std::nothrow) Tensor[operands]);
  if (!bound->steps || !bound->tensors || !bound->operands)
    return out_of_memory(plan, bound->bytes);
  ATTUNE_RETURN_IF_ERROR(bind_tensors(plan, program, state, arena, bound->tensors.get()));

  Tensor* next = bound->operands.get();
  for (size_t i = 0; i < steps; ++i) {
    const format::Step& described = *program.steps()->Get(static_cast<unsigned>(i));
    BoundStep& step = bound->steps[i];
    step.op = static_cast<Op>(described.op());
    decode_attrs(step.op, list_of(described.ints()), list_of(described.reals()), step.attrs);
    step.args.attrs = step.attrs;
    step.args.inputs = next;
    for (int32_t id : list_of(described.inputs()))
      *next++ = id < 0 ? Tensor{} : bound->tensors[static_cast<size_t>(id)];
    step.args.num_inputs = static_cast<int>(next - step.args.inputs);
    step.args.outputs = next;
    for (int32_t id : list_of(described.outputs()))
      *next++ = id < 0 ? Tensor{} : bound->tensors[static_cast<size_t>(id)];
    step.args.num_outputs = static_cast<int>(next - step.args.outputs);
    step.args.pool = worth_threads(described.macs(), step.args) ? pools.all : pools.one;
    step.use(choose_kernel(choice, static_cast<DType>(plan.table().real()), step.op, step.args));
    ++bound->step_count;
  }
  return Status::ok();
}

size_t workspace_of(const Session::Bound& bound, int threads) {
  size_t most = 0;
  for (int i = 0; i < bound.step_count; ++i) {
    const BoundStep& step = bound.steps[i];
    if (step.kernel->workspace_bytes)
      most = std::max(most, step.kernel->workspace_bytes(step.args, threads));
  }
  return most;
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

  // The workspace depends on the kernels, and these on the operands: bind without memory first.
  size_t workspace_bytes = 0;
  {
    std::unique_ptr<Bound[]> trial(new (std::nothrow) Bound[kProgramCount]);
    if (!trial) return out_of_memory(plan_, kProgramCount * sizeof(Bound));
    alignas(64) static std::byte stand_in[64];
    for (int k = 0; k < kProgramCount; ++k) {
      const format::Program* program = plan_.program(static_cast<ProgramKind>(k));
      if (!program || !(options.programs >> k & 1)) continue;
      ATTUNE_RETURN_IF_ERROR(bind_program(plan_, *program, options.backend, stand_in, stand_in,
                                          {pool_, &serial_}, &trial[static_cast<size_t>(k)]));
      workspace_bytes =
          std::max(workspace_bytes, workspace_of(trial[static_cast<size_t>(k)], pool_->threads()));
    }
  }

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
  reset_state();
  if (poison_) ArenaPoison::set_guards(arena_);

  session_bytes_ = fixed_bytes();
  for (int k = 0; k < kProgramCount; ++k) {
    const format::Program* program = plan_.program(static_cast<ProgramKind>(k));
    if (!program || !(options.programs >> k & 1)) continue;
    Bound& bound = programs_[static_cast<size_t>(k)];
    ATTUNE_RETURN_IF_ERROR(bind_program(plan_, *program, options.backend, state_.data(),
                                        arena_.data(), {pool_, &serial_}, &bound));
    session_bytes_ += bound.bytes;
    ATTUNE_RETURN_IF_ERROR(prepare(options, bound));
    if (poison_) {
      bound.poison.reset(new (std::nothrow) ArenaPoison(*program, arena_));
      if (!bound.poison || !bound.poison->good()) return out_of_memory(plan_, arena_.size());
    }
  }
  return Status::ok();
}

// Lets kernels pack what is frozen. One that cannot hands over to the next backend.
Status Session::prepare(const SessionOptions& options, Bound& bound) {
  for (int i = 0; i < bound.step_count; ++i) {
    BoundStep& step = bound.steps[i];
    step.args.workspace = workspace_.data();
    if (!step.kernel->prepare) continue;
    size_t held = 0;
    step.args.prepared = step.kernel->prepare(step.args, &held);
    held_bytes_ += held;
    if (step.args.prepared) continue;
    const int failed = place_in_order(options.backend, step.op, step.args, step.backend);
    step.use(choose_kernel(options.backend, static_cast<DType>(plan_.table().real()), step.op,
                           step.args, failed + 1));
    if (step.kernel->prepare ||
        (step.kernel->workspace_bytes &&
         step.kernel->workspace_bytes(step.args, pool_->threads()) > workspace_.size()))
      return Status::error("%s: %s: no kernel could be prepared; try --backend reference",
                           plan_.name(), op_name(step.op));
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

namespace {
Tensor find_port(const flatbuffers::Vector<flatbuffers::Offset<format::Port>>* ports,
                 std::string_view name, const Tensor* tensors) {
  if (ports)
    for (const format::Port* port : *ports)
      if (port->name()->string_view() == name) return tensors[port->tensor()];
  return Tensor{};
}
}  // namespace

Tensor Session::input(ProgramKind kind, std::string_view port) const {
  const Bound& bound = programs_[static_cast<size_t>(kind)];
  return has(kind) ? find_port(bound.program->inputs(), port, bound.tensors.get()) : Tensor{};
}

Tensor Session::output(ProgramKind kind, std::string_view port) const {
  const Bound& bound = programs_[static_cast<size_t>(kind)];
  if (!has(kind)) return Tensor{};
  const auto* ports = bound.program->outputs();
  const Tensor found = find_port(ports, port, bound.tensors.get());
  if (found || port != "output" || kind != ProgramKind::predict || !ports || ports->size() == 0)
    return found;
  return bound.tensors[static_cast<size_t>(ports->Get(0)->tensor())];
}

Tensor Session::model_input(ProgramKind kind, int index) const {
  const Bound& bound = programs_[static_cast<size_t>(kind)];
  if (!has(kind) || !bound.program->inputs()) return Tensor{};
  // The model's own inputs, in file order: those that training did not add.
  for (const format::Port* port : *bound.program->inputs()) {
    const std::string_view name = port->name()->string_view();
    if (name == "labels" || name == "targets" || name == "weights" || name == "learning_rate" ||
        name == "step")
      continue;
    if (index-- == 0) return bound.tensors[static_cast<size_t>(port->tensor())];
  }
  return Tensor{};
}

Status Session::run(ProgramKind kind) {
  if (!has(kind))
    return Status::error("%s: the plan or this session has no program %s", plan_.name(),
                         program_name(kind));
  Bound& bound = programs_[static_cast<size_t>(kind)];
  const Tensor labels = input(kind, "labels");
  if (labels && labels.dtype == DType::i32) {
    const int32_t classes = plan_.table().class_count();
    const int32_t* values = labels.as<int32_t>();
    for (int64_t i = 0; i < labels.shape.elements(); ++i)
      if (values[i] < 0 || values[i] >= classes)
        return Status::error("%s: label %d of example %lld in the batch is not in 0 .. %d",
                             plan_.name(), values[i], static_cast<long long>(i), classes - 1);
  }
  if (bound.poison) bound.poison->before_run();
  for (int i = 0; i < bound.step_count; ++i) {
    const BoundStep& step = bound.steps[i];
    step.kernel->run(step.args);
    if (observer_) observer_(observer_context_, kind, i, step.args);
    if (bound.poison) bound.poison->after_step(i);
  }
  if (poison_ && !ArenaPoison::guards_intact(arena_))
    return Status::error("%s: %s wrote outside the arena", plan_.name(), program_name(kind));
  return Status::ok();
}

void Session::reset_state() {
  const auto initial = plan_.initial_state();
  if (!initial.empty()) std::memcpy(state_.data(), initial.data(), initial.size());
  if (state_.size() > initial.size())
    std::memset(state_.data() + initial.size(), 0, state_.size() - initial.size());
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
  return programs_[static_cast<size_t>(kind)].steps[static_cast<size_t>(index)].op;
}
Backend Session::step_backend(ProgramKind kind, int index) const {
  return programs_[static_cast<size_t>(kind)].steps[static_cast<size_t>(index)].backend;
}
const KernelArgs& Session::step_args(ProgramKind kind, int index) const {
  return programs_[static_cast<size_t>(kind)].steps[static_cast<size_t>(index)].args;
}
void Session::set_observer(StepObserver observer, void* context) {
  observer_ = observer;
  observer_context_ = context;
}

}  // namespace attune
