#include "graph/rules/rules.h"

#include "kernels/custom.h"

namespace attune {
namespace {

constexpr GradientRule kGradients[] = {
#define OP(id, name, version, kind, ...)                                   \
  []() -> GradientRule {                                                   \
    if constexpr (OpKind::kind == OpKind::forward) return gradient_##name; \
    return nullptr;                                                        \
  }(),
#include "kernels/ops.def"
#undef OP
};

}  // namespace

GradientRule gradient_rule(Op op) { return kGradients[static_cast<int>(op)]; }

DType compute_dtype(const Graph& graph, const Node& node) {
  for (const auto* ids : {&node.outputs, &node.inputs})
    for (ValueId id : *ids)
      if (id != kNone && is_real(graph.value(id).dtype)) return graph.value(id).dtype;
  return graph.real;
}

std::string shape_text(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.dims, shape.dims + shape.rank, ","));
}

std::string type_text(const Value& value) {
  return dtype_name(value.dtype) + shape_text(value.shape);
}

std::string op_text(const Node& node) {
  const auto* custom = std::get_if<CustomAttrs>(&node.attrs);
  return std::string(custom ? custom_name(*custom) : op_name(node.op));
}

std::string node_text(const Graph& graph, const Node& node) {
  std::vector<std::string> inputs;
  for (ValueId id : node.inputs)
    inputs.push_back(id == kNone ? "none" : type_text(graph.value(id)));
  return fmt::format("{} '{}' of ({})", op_text(node), node.name, fmt::join(inputs, ", "));
}

GradientContext::GradientContext(Graph& graph, NodeId node, std::vector<ValueId> output_grads,
                                 std::vector<bool> needs)
    : input_grads(graph.nodes[node].inputs.size(), kNone),
      graph_(graph),
      id_(node),
      node_(graph.nodes[node]),
      output_grads_(std::move(output_grads)),
      needs_(std::move(needs)) {}

ValueId GradientContext::saved(int i) {
  const ValueId value = graph_.want_output(graph_.nodes[id_], i);
  node_ = graph_.nodes[id_];
  return value;
}

void GradientContext::set(int i, ValueId grad) {
  if (!needs(i))
    throw_error("{}: gradient of input {}, which nobody wants", node_text(graph_, node_), i);
  const Value& value = graph_.value(grad);
  if (!(value.shape == graph_.shape(x(i))))
    throw_error("{}: gradient {} of input {}", node_text(graph_, node_), type_text(value), i);
  input_grads[i] = grad;
}

ValueId GradientContext::emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs,
                              const char* suffix, const Shape* shape) {
  return graph_.emit(op, std::move(attrs), std::move(inputs), node_.name + "/" + suffix, shape);
}

ValueId GradientContext::reshape(ValueId x, Shape shape) {
  return graph_.reshape(x, shape, node_.name + "/reshape");
}

ValueId GradientContext::reduce_to(ValueId x, Shape shape) {
  const Shape from = graph_.shape(x);
  const int missing = from.rank - shape.rank;
  ReduceAttrs attrs;
  for (int i = 0; i < from.rank; ++i)
    if (from[i] != 1 && (i < missing || shape[i - missing] == 1)) attrs.axes |= 1 << i;
  if (attrs.axes != 0) x = emit(Op::reduce, attrs, {x}, "reduce");
  return reshape(x, shape);
}

}  // namespace attune
