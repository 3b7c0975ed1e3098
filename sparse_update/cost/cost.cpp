#include "sparse_update/cost/cost.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "attune/session.h"
#include "graph/ir/error.h"
#include "graph/memory/storage.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

alignas(64) std::byte stand_in[64];

// Whether a value lies among the constants of the plan, where kernels may pack it.
bool is_frozen(const PlanProgram& program, ValueId id) {
  const StorageMap& storage = program.memory.storage;
  const Storage& s =
      storage.storages[static_cast<size_t>(storage.of_value[static_cast<size_t>(id)])];
  const Value& root = program.graph.value(s.root);
  return !s.in_arena && root.role != Role::state && !root.trained;
}

// A step's operands, without their memory.
struct Call {
  Call(const PlanProgram& program, const Node& node) {
    for (ValueId id : node.inputs) tensors.push_back(described(program, id));
    for (ValueId id : node.outputs) tensors.push_back(described(program, id));
    args.inputs = tensors.data();
    args.num_inputs = static_cast<int>(node.inputs.size());
    args.outputs = tensors.data() + node.inputs.size();
    args.num_outputs = static_cast<int>(node.outputs.size());
    args.attrs = attrs_data(node.attrs);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  static Tensor described(const PlanProgram& program, ValueId id) {
    if (id == kNone) return {};
    const Value& value = program.graph.value(id);
    const bool moves = advance_of(program.graph, program.memory.storage, id) > 0;
    return {stand_in, value.dtype, is_frozen(program, id), moves, value.shape};
  }

  std::vector<Tensor> tensors;
  KernelArgs args;
};

// Bytes that a kernel holds once it is prepared, found by preparing it for zeros; false where it
// cannot be.
bool held_bytes(const Kernel& kernel, const Call& call, size_t* held) {
  KernelArgs args = call.args;
  std::vector<Tensor> tensors = call.tensors;
  std::vector<std::vector<std::byte>> zeros;
  for (Tensor& t : tensors)
    if (t && t.frozen) t.data = zeros.emplace_back(t.bytes() + kSegmentSlack).data();
  args.inputs = tensors.data(), args.outputs = tensors.data() + args.num_inputs;
  ThreadPool one(1);
  args.pool = &one;
  void* prepared = kernel.prepare(args, held);
  if (!prepared) return false;
  kernel.release(prepared);
  return true;
}

}  // namespace

struct CostModel::Step {
  StepWork work;
  std::map<uint64_t, StepTime> times;  // by the program's bytes
  bool prepares = false;
  size_t workspace_bytes = 0;  // shared with the other steps
  size_t held_bytes = 0;       // its own
};

struct CostModel::Cache {
  std::unordered_map<std::string, Step> steps;
};

CostModel::CostModel(Target target, BackendChoice backend)
    : rates_(std::move(target)),
      threads_(rates_->target().threads),
      backend_(backend),
      cache_(std::make_unique<Cache>()) {}

CostModel::CostModel(int threads, BackendChoice backend)
    : threads_(threads), backend_(backend), cache_(std::make_unique<Cache>()) {}

CostModel::~CostModel() = default;

CostModel::Step& CostModel::step_of(const PlanProgram& program, const Node& node) {
  const Call call(program, node);
  const DType real = program.graph.real;
  const auto macs = static_cast<uint64_t>(op_macs(program.graph, node));
  ChosenKernel chosen = choose_kernel(backend_, real, node.op, call.args);
  if (!chosen.kernel) throw_error("{}: no kernel for {} (a bug)", node.name, op_name(node.op));
  StepWork work = step_work(node.op, chosen.backend, call.args, macs);
  const auto [found, is_new] = cache_->steps.try_emplace(
      fmt::format("{}/{}/{}", op_name(node.op), backend_name(chosen.backend), work.shape));
  Step& step = found->second;
  if (!is_new) return step;
  step.prepares = chosen.kernel->prepare != nullptr;
  if (step.prepares && !held_bytes(*chosen.kernel, call, &step.held_bytes)) {
    const int failed = place_in_order(backend_, node.op, call.args, chosen.backend);
    chosen = choose_kernel(backend_, real, node.op, call.args, failed + 1);
    work.backend = chosen.backend;
  }
  if (chosen.kernel->workspace_bytes)
    step.workspace_bytes = chosen.kernel->workspace_bytes(call.args, threads_);
  step.work = std::move(work);
  return step;
}

std::vector<CostModel::StepRuns> CostModel::steps_of(const PlanProgram& program) {
  std::vector<StepRuns> steps;
  const Graph& graph = program.graph;
  for (NodeId n = 0; n < static_cast<NodeId>(graph.nodes.size()); ++n)
    if (const Node& node = graph.nodes[static_cast<size_t>(n)]; !is_view(graph, node))
      steps.push_back({&step_of(program, node), graph.repeat.runs_of(n)});
  return steps;
}

std::vector<StepTime> CostModel::times_of(const std::vector<StepRuns>& steps) {
  uint64_t bytes = 0;
  for (const auto& [step, runs] : steps) bytes += step->work.bytes;
  bytes = rounded_program_bytes(bytes);
  std::vector<StepTime> times;
  for (const auto& [step, runs] : steps) {
    const auto [time, is_new] = step->times.try_emplace(bytes);
    if (is_new && rates_) {
      step->work.program_bytes = bytes;
      time->second = rates_->time(step->work);
    }
    times.push_back(time->second);
    times.back().us *= runs;
  }
  return times;
}

Cost CostModel::cost(const PlanContents& contents) {
  if (contents.programs.empty()) throw_error("cost: the plan has no program to estimate");
  Cost cost;
  const PlanSizes sizes = measure_plan(contents);
  cost.constants_bytes = sizes.constants;
  cost.state_bytes = sizes.state;
  cost.arena_bytes = sizes.arena;
  cost.program_bytes = sizes.program;
  cost.file_bytes = sizes.file;
  size_t scratch = 0, held = 0, most_operands = 0, all_steps = 0, prepared = 0;
  for (const PlanProgram& program : contents.programs) {
    const std::vector<StepRuns> steps = steps_of(program);
    all_steps += steps.size();
    uint64_t macs = 0;
    for (const auto& [step, runs] : steps) {
      prepared += step->prepares, macs += static_cast<uint64_t>(runs) * step->work.macs;
      scratch = std::max(scratch, step->workspace_bytes);
      held += step->held_bytes;
    }
    for (const Node& node : program.graph.nodes)
      if (!is_view(program.graph, node))
        most_operands = std::max(most_operands, node.inputs.size() + node.outputs.size());
    double us = 0;
    for (const StepTime& time : times_of(steps)) us += time.us;
    if (program.kind == ProgramKind::train_step) cost.train_macs = macs;
    cost.ms(program.kind) = 1e-3 * us;
  }
  cost.workspace_bytes = scratch + held;
  cost.session_bytes += Session::own_bytes(cost.state_bytes, cost.arena_bytes, scratch,
                                           most_operands, all_steps, prepared, threads_);
  return cost;
}

}  // namespace attune
