#include "graph/read_plan.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <variant>

#include "engine/plan_tensor.h"
#include "engine/step_check.h"
#include "graph/error.h"
#include "graph/interpret.h"
#include "graph/rules.h"

namespace attune {
namespace {

class PlanReader {
 public:
  PlanReader(const Plan& plan, const format::Program& program, DType real,
             std::span<const std::byte> state)
      : plan_(plan), program_(program), state_(plan.table().state_bytes()) {
    graph_.real = real;
    const auto from = state.empty() ? plan.initial_state() : state;
    if (from.size() > state_.size())
      throw_error("{}: {} bytes of state, where the plan has {}", plan.name(), from.size(),
                  state_.size());
    if (!from.empty()) std::memcpy(state_.data(), from.data(), from.size());
  }

  Graph read() {
    for (const format::Tensor* t : *program_.tensors()) add_value(*t);
    if (program_.inputs())
      for (const format::Port* port : *program_.inputs()) {
        graph_.inputs.push_back({port->name()->str(), port->tensor()});
        graph_.value(port->tensor()).role = Role::input;
        write(port->tensor());
      }
    for (const format::Step* step : *program_.steps()) add_step(*step);
    if (program_.outputs())
      for (const format::Port* port : *program_.outputs())
        graph_.outputs.push_back({port->name()->str(), reading(port->tensor())});
    graph_.index();
    graph_.verify();
    return std::move(graph_);
  }

 private:
  const format::Tensor& described(ValueId id) const {
    return *program_.tensors()->Get(static_cast<unsigned>(id));
  }

  void add_value(const format::Tensor& t) {
    const Tensor tensor = described_tensor(t);
    Value value;
    value.name = text_of(t.name());
    value.dtype = is_real(tensor.dtype) ? graph_.real : tensor.dtype;
    value.shape = tensor.shape;
    value.model_tensor = text_of(t.model_tensor());
    for (size_t i = 0; i < list_of(t.model_perm()).size(); ++i)
      value.model_perm[i] = list_of(t.model_perm())[i];
    if (t.segment() == format::Segment::constants) {
      value.role = Role::constant;
      value.data = contents(tensor, plan_.constants().subspan(t.offset()));
    } else if (t.segment() == format::Segment::state) {
      add_state(t, tensor, &value);
    }
    graph_.add_value(std::move(value));
    written_.push_back(false);
  }

  // Optimizer state that is zero starts as such; any other has contents, as parameters have.
  void add_state(const format::Tensor& t, const Tensor& tensor, Value* value) const {
    value->role = Role::state;
    const format::Parameter* parameter = parameter_at(t);
    const auto bytes = std::span(state_).subspan(t.offset(), tensor.bytes());
    const bool zero =
        std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
    if (!parameter && zero) return;
    value->role = Role::parameter;
    value->data = contents(tensor, bytes);
    if (!parameter) return;
    value->trained = true;
    value->fresh = parameter->head();
    value->origin = origin_of(*parameter);
  }

  static DataPtr contents(const Tensor& tensor, std::span<const std::byte> bytes) {
    const HostTensor host{tensor.dtype,
                          tensor.shape,
                          {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(tensor.bytes())}};
    const std::vector<double> wide = host.reals();
    auto data = std::make_shared<Data>();
    if (is_real(tensor.dtype))
      data->reals = wide;
    else
      data->ints.assign(wide.begin(), wide.end());
    return data;
  }

  const format::Parameter* parameter_at(const format::Tensor& t) const {
    if (!plan_.table().parameters()) return nullptr;
    for (const format::Parameter* p : *plan_.table().parameters())
      if (p->state_offset() == t.offset()) return p;
    return nullptr;
  }

  static Origin origin_of(const format::Parameter& parameter) {
    Origin origin;
    origin.tensor = parameter.name()->str();
    if (parameter.model_shape())
      origin.model_shape.assign(parameter.model_shape()->begin(), parameter.model_shape()->end());
    for (int32_t d : *parameter.view_shape()) origin.view_shape.dims[origin.view_shape.rank++] = d;
    for (unsigned i = 0; i < parameter.perm()->size(); ++i)
      origin.perm[i] = parameter.perm()->Get(i);
    return origin;
  }

  using Address = std::pair<format::Segment, uint64_t>;
  Address address(ValueId id) const { return {described(id).segment(), described(id).offset()}; }

  void write(ValueId id) {
    written_[static_cast<size_t>(id)] = true;
    latest_[address(id)] = id;
  }

  // What a step or port that reads tensor `id` means. A tensor that nothing has written is a view
  // of what was written last where it lies.
  ValueId reading(ValueId id) {
    if (id < 0) return kNone;
    const format::Tensor& t = described(id);
    if (written_[static_cast<size_t>(id)] || t.segment() == format::Segment::constants) return id;
    const auto writer = latest_.find(address(id));
    if (writer == latest_.end()) {
      if (t.segment() == format::Segment::state) return id;  // not updated yet
      throw_error("{}: {}: tensor {} is read, and nothing has written it", plan_.name(),
                  program_.name()->str(), text_of(t.name()));
    }
    const ValueId source = writer->second;
    const Value &from = graph_.value(source), &to = graph_.value(id);
    if (from.dtype != to.dtype || from.shape.elements() != to.shape.elements())
      throw_error("{}: {}: tensor {} ({}) lies on {} ({}), and is no view of it", plan_.name(),
                  program_.name()->str(), to.name, type_text(to), from.name, type_text(from));
    if (from.shape == to.shape) return source;
    if (t.segment() == format::Segment::state)
      throw_error("{}: {}: tensor {} is a view of a parameter after its update", plan_.name(),
                  program_.name()->str(), to.name);
    Node view;
    view.op = Op::reshape;
    view.name = to.name;
    view.inputs = {source};
    view.outputs = {id};
    graph_.nodes.push_back(std::move(view));
    written_[static_cast<size_t>(id)] = true;
    return id;
  }

  void add_step(const format::Step& step) {
    Node node;
    node.op = static_cast<Op>(step.op());
    node.name = text_of(step.name());
    node.attrs = default_attrs(node.op);
    std::visit(
        [&](auto& attrs) {
          decode_attrs(node.op, list_of(step.ints()), list_of(step.reals()), &attrs);
        },
        node.attrs);
    for (int32_t id : list_of(step.inputs())) node.inputs.push_back(reading(id));
    for (size_t o = 0; o < list_of(step.outputs()).size(); ++o) {
      const ValueId id = list_of(step.outputs())[o];
      node.outputs.push_back(id < 0 ? kNone : id);
      if (id < 0) continue;
      if (written_[static_cast<size_t>(id)])
        throw_error("{}: {}: tensor {} is written twice", plan_.name(), program_.name()->str(),
                    graph_.value(id).name);
      Value& value = graph_.value(id);
      value.role = Role::temporary;
      value.data = nullptr;
      if (const int updated = updated_input(node.op, static_cast<int>(o)); updated >= 0)
        value.updates = node.inputs[static_cast<size_t>(updated)];
      write(id);
    }
    graph_.nodes.push_back(std::move(node));
  }

  const Plan& plan_;
  const format::Program& program_;
  std::vector<std::byte> state_;
  Graph graph_;
  std::vector<bool> written_;          // by value: an input, or made by a node so far
  std::map<Address, ValueId> latest_;  // what was written last at an address
};

}  // namespace

Graph graph_of_plan(const Plan& plan, ProgramKind kind, DType real,
                    std::span<const std::byte> state) {
  const format::Program* program = plan.program(kind);
  if (!program) throw_error("{}: the plan has no program {}", plan.name(), program_name(kind));
  return PlanReader(plan, *program, real, state).read();
}

}  // namespace attune
