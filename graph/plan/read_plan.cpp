#include "graph/plan/read_plan.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "engine/format/parameter_tensor.h"
#include "engine/format/plan_tensor.h"
#include "engine/format/step_check.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/rules/rules.h"

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
    for (const format::Port* port : *program_.ports()) {
      if (!is_fed(role_of(*port))) continue;
      graph_.inputs.push_back({port->name()->str(), port->tensor()});
      graph_.value(port->tensor()).role = Role::input;
      write(port->tensor());
    }
    add_steps(0, program_.repeat_begin());
    add_repeated();
    add_steps(program_.repeat_end(), static_cast<int>(program_.steps()->size()));
    for (const format::Port* port : *program_.ports())
      if (!is_fed(role_of(*port)))
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
    const auto elements = static_cast<size_t>(tensor.shape.elements());
    if (is_real(tensor.dtype))
      return Data::copy(tensor.dtype == DType::f32 ? Data::Type::f32 : Data::Type::f64,
                        bytes.data(), elements);
    const HostTensor host{tensor.dtype,
                          tensor.shape,
                          {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(tensor.bytes())}};
    const std::vector<double> wide = host.reals();
    return Data::of_ints({wide.begin(), wide.end()});
  }

  const format::Parameter* parameter_at(const format::Tensor& t) const {
    if (!plan_.table().parameters()) return nullptr;
    for (const format::Parameter* p : *plan_.table().parameters())
      if (p->state_offset() == t.offset() &&
          parameter_tensor(*p, 0).held_bytes() == described_tensor(t).bytes())
        return p;
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

  // Where a tensor's first byte lies.
  using Address = std::pair<format::Segment, uint64_t>;
  Address address(ValueId id) const { return {described(id).segment(), described(id).offset()}; }
  uint64_t bytes(ValueId id) const { return described_tensor(described(id)).bytes(); }

  // Bytes of memory, and the value that was written there last: its bytes from `from` on.
  struct Written {
    uint64_t end;
    ValueId value;
    uint64_t from;
  };

  void add_steps(int begin, int end) {
    for (int s = begin; s < end; ++s) add_step(*program_.steps()->Get(static_cast<unsigned>(s)));
  }

  // Steps that read something from before them, and leave something else where it lay, read that
  // in the next repetition.
  void add_repeated() {
    Repeat& repeat = graph_.repeat;
    const std::vector<bool> before = written_;
    read_.clear(), moving_.clear();
    repeat.begin = static_cast<NodeId>(graph_.nodes.size());
    add_steps(program_.repeat_begin(), program_.repeat_end());
    repeat.end = static_cast<NodeId>(graph_.nodes.size());
    repeat.count = program_.repeat_count();
    if (repeat.count == 1) return;
    for (const auto& [id, source] : moving_) {
      const auto [segment, begin] = address(id);
      const uint64_t advance = described(id).advance();
      const auto further = static_cast<uint64_t>(repeat.count - 1);
      if (!holds({segment, begin + advance}, (further - 1) * advance + bytes(id), source))
        fail_to_repeat(id);
    }
    for (ValueId id : read_) {
      if (!before[static_cast<size_t>(id)] || holds(address(id), bytes(id), id)) continue;
      const auto now = latest_.find(address(id));
      if (now == latest_.end() || !holds(address(id), bytes(id), now->second.value) ||
          bytes(now->second.value) != bytes(id))
        fail_to_repeat(id);
      repeat.carried.emplace_back(id, now->second.value);
    }
  }

  [[noreturn]] void fail_to_repeat(ValueId id) const {
    throw_error("{}: {}: tensor {} is not there any more when it is read again", plan_.name(),
                program_name(program_kind(program_)), graph_.value(id).name);
  }

  // Whether nothing else was written over these bytes of a value.
  bool holds(Address at, uint64_t size, ValueId value) const {
    const uint64_t end = at.second + size;
    while (at.second < end) {
      auto piece = latest_.upper_bound(at);
      if (piece == latest_.begin() || (--piece)->first.first != at.first ||
          piece->second.end <= at.second || piece->second.value != value)
        return false;
      at.second = piece->second.end;
    }
    return true;
  }

  void write(ValueId id) {
    written_[static_cast<size_t>(id)] = true;
    const auto [segment, begin] = address(id);
    const uint64_t end = begin + bytes(id);
    // What lay there before keeps the parts that stick out.
    auto next = latest_.lower_bound({segment, begin});
    if (next != latest_.begin()) {
      const auto before = std::prev(next);
      Written& old = before->second;
      if (before->first.first == segment && old.end > begin) {
        if (old.end > end)
          latest_[{segment, end}] = {old.end, old.value, old.from + end - before->first.second};
        old.end = begin;
      }
    }
    while (next != latest_.end() && next->first.first == segment && next->first.second < end) {
      if (next->second.end > end) {
        Written rest = next->second;
        rest.from += end - next->first.second;
        latest_[{segment, end}] = rest;
      }
      next = latest_.erase(next);
    }
    latest_[{segment, begin}] = {end, id, 0};
  }

  // What a step or port that reads tensor `id` means. A tensor that nothing has written is a view
  // of what was written last where it lies.
  ValueId reading(ValueId id) {
    if (id < 0) return kNone;
    const format::Tensor& t = described(id);
    if (written_[static_cast<size_t>(id)]) read_.insert(id);
    if (written_[static_cast<size_t>(id)] || t.segment() == format::Segment::constants) return id;
    const auto writer = latest_.find(address(id));
    if (writer == latest_.end() && t.segment() == format::Segment::state) return id;  // as it was
    if (writer != latest_.end() && writer->second.from == 0 &&
        writer->second.end == address(id).second + bytes(id)) {
      const ValueId source = writer->second.value;
      read_.insert(source);
      const Value &from = graph_.value(source), &to = graph_.value(id);
      if (from.dtype == to.dtype && from.shape.elements() == to.shape.elements())
        return whole_view(id, source);
    }
    return rows(id);
  }

  // All of one value, in another shape.
  ValueId whole_view(ValueId id, ValueId source) {
    const Value &from = graph_.value(source), &to = graph_.value(id);
    if (from.shape == to.shape) return source;
    if (described(id).segment() == format::Segment::state)
      throw_error("{}: {}: tensor {} is a view of a parameter after its update", plan_.name(),
                  program_name(program_kind(program_)), to.name);
    Node view;
    view.op = Op::reshape;
    view.name = to.name;
    view.inputs = {source};
    view.outputs = {id};
    graph_.nodes.push_back(std::move(view));
    written_[static_cast<size_t>(id)] = true;
    return id;
  }

  // Rows of one or more values that lie one behind the other.
  ValueId rows(ValueId id) {
    const auto [segment, begin] = address(id);
    const uint64_t end = begin + bytes(id);
    std::vector<ValueId> parts;
    for (uint64_t at = begin; at < end;) {
      auto piece = latest_.upper_bound({segment, at});
      if (piece == latest_.begin() || std::prev(piece)->first.first != segment ||
          std::prev(piece)->second.end <= at)
        throw_error("{}: {}: tensor {} is read, and nothing has written it", plan_.name(),
                    program_name(program_kind(program_)), graph_.value(id).name);
      --piece;
      const Written& written = piece->second;
      if (described(id).advance() > 0)
        moving_.emplace_back(id, written.value);
      else
        read_.insert(written.value);
      const uint64_t until = std::min(end, written.end);
      parts.push_back(part(id, written.value, written.from + at - piece->first.second, until - at));
      at = until;
    }
    if (parts.size() > 1)
      parts = {graph_.emit(Op::concat, AxisAttrs{row_axis(graph_.shape(id))}, parts,
                           graph_.value(id).name + "/rows")};
    // One of the plan's tensors: all of what was written.
    if (static_cast<size_t>(parts[0]) < written_.size()) return parts[0];
    graph_.nodes.back().outputs[0] = id;
    graph_.value(id).advance = static_cast<int64_t>(
        described(id).advance() / dtype_bytes(described_tensor(described(id)).dtype, 1));
    written_[static_cast<size_t>(id)] = true;
    return id;
  }

  // The first axis longer than one: along it, memory is cut into parts.
  static int row_axis(const Shape& shape) {
    int axis = 0;
    while (axis + 1 < shape.rank && shape[axis] == 1) ++axis;
    return axis;
  }

  // Bytes `from` .. `from + size` of a value, as rows of tensor `id`.
  ValueId part(ValueId id, ValueId source, uint64_t from, uint64_t size) {
    Shape whole = graph_.shape(source);
    const Shape wanted = graph_.shape(id);
    const auto fail = [&] {
      throw_error("{}: {}: tensor {} ({}) lies on {} ({}), and is no view of it", plan_.name(),
                  program_name(program_kind(program_)), graph_.value(id).name,
                  type_text(graph_.value(id)), graph_.value(source).name,
                  type_text(graph_.value(source)));
    };
    const DType stored = static_cast<DType>(described(id).dtype());
    if (described(source).dtype() != described(id).dtype() || stored == DType::mask) fail();
    if (wanted.rank == 0) fail();
    int axis = row_axis(wanted);
    bool alike = wanted.rank == whole.rank;
    for (int i = wanted.rank - 1; alike && i >= 0; --i)
      if (wanted[i] != whole[i]) {
        axis = i;
        break;
      }
    alike = alike && whole.product(0, axis) == 1 && wanted.product(0, axis) == 1;
    if (!alike) axis = row_axis(wanted);
    const uint64_t row =
        dtype_bytes(stored, static_cast<size_t>(wanted.product(axis + 1, wanted.rank)));
    if (from % row != 0 || size % row != 0) fail();
    if (!alike) {  // rows of a view of the source
      if (bytes(source) % row != 0) fail();
      whole = wanted;
      whole[axis] = static_cast<int32_t>(bytes(source) / row);
      source =
          graph_.emit(Op::reshape, NoAttrs{}, {source}, graph_.value(id).name + "/view", &whole);
    }
    Shape shape = whole;
    shape[axis] = static_cast<int32_t>(size / row);
    if (shape == whole) return source;
    return graph_.emit(Op::slice, SliceAttrs{axis, static_cast<int32_t>(from / row)}, {source},
                       graph_.value(id).name + "/part", &shape);
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
        throw_error("{}: {}: tensor {} is written twice", plan_.name(),
                    program_name(program_kind(program_)), graph_.value(id).name);
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
  std::vector<bool> written_;                        // by value: an input, or made by a node so far
  std::map<Address, Written> latest_;                // what was written last, by its first byte
  std::set<ValueId> read_;                           // since repeated steps began
  std::vector<std::pair<ValueId, ValueId>> moving_;  // and what moves on, with what it is rows of
};

}  // namespace

Graph graph_of_plan(const Plan& plan, ProgramKind kind, DType real,
                    std::span<const std::byte> state) {
  const format::Program* program = plan.program(kind);
  if (!program) throw_error("{}: the plan has no program {}", plan.name(), program_name(kind));
  return PlanReader(plan, *program, real, state).read();
}

}  // namespace attune
