// What one node computes and another alone reads, one of them computes alone.
#include <utility>
#include <variant>

#include "graph/passes/passes.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// The node that makes a value, where one node alone reads that; else null.
Node* maker_for_one(Graph& graph, const std::vector<std::vector<NodeId>>& readers, ValueId v) {
  const NodeId producer = graph.value(v).producer;
  if (producer == kNone || readers[v].size() != 1 || graph.is_output(v)) return nullptr;
  return &graph.nodes[producer];
}

// `taker` makes the output of a node from now on, which is dropped in the end.
void take_over(Node& node, Node& taker) { taker.outputs = std::exchange(node.outputs, {}); }

void drop_taken(Graph& graph) {
  std::erase_if(graph.nodes, [](const Node& node) { return node.outputs.empty(); });
  graph.index();
}

// Whether output 1 may be a mask: an operator that clamps gives it.
bool gives_mask(const Node& node) {
  const Signature& row = signature(node.op);
  return row.outputs > 1 && row.output(1).operand_type() == OperandType::mask;
}

// Gives a layer that may clamp its output, and does not yet, this clamp. False where it is none.
bool take_clamp(Node& layer, const ClampAttrs& clamp) {
  return std::visit(
      [&](auto& attrs) {
        if constexpr (requires { attrs.clamps(); }) {
          if (attrs.clamps()) return false;
          attrs.clamp_min = clamp.min;
          attrs.clamp_max = clamp.max;
          return true;
        }
        return false;
      },
      layer.attrs);
}

bool sums_all_but_last(const Graph& graph, const Node& reduce) {
  if (reduce.as<ReduceAttrs>().mean) return false;
  Shape sum = graph.shape(reduce.inputs[0]);
  if (sum.rank == 0) return false;
  for (int i = 0; i + 1 < sum.rank; ++i) sum[i] = 1;
  return graph.shape(reduce.outputs[0]) == sum;
}

// Whether input 2 may be a mask, and is absent.
bool takes_mask(const Node& node) {
  const Signature& row = signature(node.op);
  return row.inputs > 2 && row.input(2).operand_type() == OperandType::mask &&
         row.input(2).optional && node.input(2) == kNone;
}

}  // namespace

void fuse_clamp(Graph& graph) {
  graph.index();
  const auto readers = graph.readers();
  for (Node& clamp : graph.nodes) {
    if (clamp.op != Op::clamp) continue;
    Node* layer = maker_for_one(graph, readers, clamp.inputs[0]);
    if (layer == nullptr || op_info(layer->op).kind != OpKind::forward) continue;
    if (layer->output(1) != kNone || !gives_mask(*layer)) continue;
    if (!take_clamp(*layer, clamp.as<ClampAttrs>())) continue;
    take_over(clamp, *layer);
  }
  drop_taken(graph);
}

void fuse_bias_gradient(Graph& graph) {
  graph.index();
  for (Node& reduce : graph.nodes) {
    if (reduce.op != Op::reduce || !sums_all_but_last(graph, reduce)) continue;
    const NodeId producer = graph.value(reduce.inputs[0]).producer;
    if (producer == kNone) continue;
    Node& mask_grad = graph.nodes[producer];
    if (mask_grad.op != Op::mask_grad || mask_grad.output(1) != kNone) continue;
    mask_grad.outputs = {mask_grad.outputs[0], reduce.outputs[0]};
    reduce.outputs.clear();
  }
  drop_taken(graph);
}

void fuse_mask_grad(Graph& graph) {
  graph.index();
  const auto readers = graph.readers();
  for (Node& mask_grad : graph.nodes) {
    if (mask_grad.op != Op::mask_grad) continue;
    const ValueId dy = mask_grad.inputs[0], mask = mask_grad.inputs[1];
    Node* gradient = maker_for_one(graph, readers, dy);
    if (gradient == nullptr || !takes_mask(*gradient)) continue;
    const NodeId masker = graph.value(mask).producer;
    if (masker != kNone && masker >= graph.value(dy).producer) continue;
    gradient->inputs = {gradient->inputs[0], gradient->inputs[1], mask};
    take_over(mask_grad, *gradient);
  }
  drop_taken(graph);
}

}  // namespace attune
