#include "graph/ir/graph.h"

#include <algorithm>
#include <limits>

#include "graph/ir/error.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

void check_shape(const std::string& name, const Shape& shape) {
  int64_t elements = 1;
  if (shape.rank < 0 || shape.rank > kMaxRank)
    throw_error("value '{}': rank {}, where at most {} is supported", name, shape.rank, kMaxRank);
  for (int i = 0; i < shape.rank; ++i) {
    if (shape[i] < 0) throw_error("value '{}': negative size in {}", name, shape_text(shape));
    elements *= shape[i];
    if (elements > std::numeric_limits<int32_t>::max())
      throw_error("value '{}': {} has 2^31 elements or more", name, shape_text(shape));
  }
}

ValueId find_port(const std::vector<Port>& ports, std::string_view name) {
  for (const Port& port : ports)
    if (port.name == name) return port.value;
  return kNone;
}

}  // namespace

std::vector<int64_t> to_dims(const Shape& shape) { return {shape.dims, shape.dims + shape.rank}; }

DataPtr in_model_order(const Data& data, const Origin& origin) {
  const Perm perm(origin.perm.begin(), origin.perm.begin() + origin.view_shape.rank);
  return data.permuted(permuted(to_dims(origin.view_shape), perm), inverse(perm));
}

std::string Graph::unique_name(const std::string& name) {
  if (named_ > values.size()) {
    names_.clear();
    suffixes_.clear();
    named_ = 0;
  }
  for (; named_ < values.size(); ++named_)
    names_.emplace(values[named_].name, static_cast<ValueId>(named_));
  if (!name.empty() && !names_.contains(name)) return name;
  const std::string base = name.empty() ? "value" : name;
  int& suffix = suffixes_.emplace(base, 1).first->second;
  for (;;) {
    std::string candidate = fmt::format("{}.{}", base, ++suffix);
    if (!names_.contains(candidate)) return candidate;
  }
}

ValueId Graph::add_value(Value value) {
  value.name = unique_name(value.name);
  check_shape(value.name, value.shape);
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size()) - 1;
}

void Graph::rename(ValueId id, const std::string& name) {
  if (values[id].name == name) return;
  const std::string unique = unique_name(name);
  names_.erase(values[id].name);
  names_.emplace(unique, id);
  values[id].name = unique;
}

ValueId Graph::add_known(std::string name, DType dtype, Shape shape, DataPtr data) {
  if (static_cast<int64_t>(data->size()) != shape.elements())
    throw_error("constant '{}': {} elements for {}", name, data->size(), shape_text(shape));
  return add_value({.name = std::move(name),
                    .dtype = dtype,
                    .shape = shape,
                    .role = Role::constant,
                    .data = std::move(data)});
}

ValueId Graph::add_constant(std::string name, Shape shape, std::vector<double> reals) {
  return add_known(std::move(name), real, shape, Data::of_reals(std::move(reals)));
}

ValueId Graph::add_index_constant(std::string name, std::vector<int64_t> ints) {
  const Shape shape{static_cast<int32_t>(ints.size())};
  return add_known(std::move(name), DType::i32, shape, Data::of_ints(std::move(ints)));
}

ValueId Graph::add_input(std::string port, DType dtype, Shape shape) {
  if (input(port) != kNone) throw_error("two inputs named '{}'", port);
  const ValueId id = add_value({.name = port, .dtype = dtype, .shape = shape, .role = Role::input});
  inputs.push_back({std::move(port), id});
  return id;
}

Node Graph::make(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, std::string name,
                 const Shape* shape, int outputs) {
  Node node{op, std::move(attrs), std::move(inputs), {}, std::move(name)};
  const auto inferred = infer_outputs(*this, node, shape);
  if (outputs < 1 || outputs > static_cast<int>(inferred.size()))
    throw_error("{} '{}': {} outputs, where it has 1 to {}", op_name(op), node.name, outputs,
                inferred.size());
  for (int i = 0; i < outputs; ++i) {
    const bool plain = i == 0 || node.name.empty();
    const int updated = updated_input(op, i);
    node.outputs.push_back(
        add_value({.name = plain ? node.name : fmt::format("{}:{}", node.name, i),
                   .dtype = inferred[i].dtype,
                   .shape = inferred[i].shape,
                   .updates = updated < 0 ? kNone : node.inputs[updated]}));
  }
  return node;
}

ValueId Graph::emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, std::string name,
                    const Shape* shape) {
  // Updates have no optional outputs: all of their state is rewritten.
  const int outputs = op_info(op).kind == OpKind::update ? op_info(op).max_outputs : 1;
  nodes.push_back(make(op, std::move(attrs), std::move(inputs), std::move(name), shape, outputs));
  for (ValueId id : nodes.back().outputs)
    value(id).producer = static_cast<NodeId>(nodes.size()) - 1;
  return nodes.back().outputs[0];
}

ValueId Graph::reshape(ValueId x, const Shape& shape, std::string name) {
  if (this->shape(x) == shape) return x;
  return emit(Op::reshape, NoAttrs{}, {x}, std::move(name), &shape);
}

ValueId Graph::transpose(ValueId x, const Perm& perm, std::string name) {
  if (is_identity(perm)) return x;
  return emit(Op::transpose, transpose_attrs(perm), {x}, std::move(name));
}

ValueId Graph::want_output(Node& node, int index) {
  if (node.output(index) != kNone) return node.output(index);
  const Shape wanted = shape(node.outputs[0]);
  const auto inferred = infer_outputs(*this, node, &wanted);
  if (index >= static_cast<int>(inferred.size()))
    throw_error("{} '{}' has no output {}", op_name(node.op), node.name, index);
  if (static_cast<int>(node.outputs.size()) <= index) node.outputs.resize(index + 1, kNone);
  const Value& first = values[node.outputs[0]];
  return node.outputs[index] = add_value({.name = fmt::format("{}:{}", first.name, index),
                                          .dtype = inferred[index].dtype,
                                          .shape = inferred[index].shape,
                                          .producer = first.producer});
}

void Graph::index() {
  for (Value& value : values) value.producer = kNone;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (ValueId id : nodes[i].outputs)
      if (id != kNone) values[id].producer = static_cast<NodeId>(i);
}

std::vector<std::vector<NodeId>> Graph::readers() const {
  std::vector<std::vector<NodeId>> readers(values.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (ValueId id : nodes[i].inputs)
      if (id != kNone) readers[id].push_back(static_cast<NodeId>(i));
  return readers;
}

bool Graph::is_output(ValueId id) const {
  return std::any_of(outputs.begin(), outputs.end(), [&](const Port& p) { return p.value == id; });
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& node : nodes) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  for (Port& port : outputs)
    if (port.value == from) port.value = to;
  for (Value& value : values)
    if (value.updates == from) value.updates = to;
}

ValueId Graph::input(std::string_view port) const { return find_port(inputs, port); }
ValueId Graph::output(std::string_view port) const { return find_port(outputs, port); }

}  // namespace attune
