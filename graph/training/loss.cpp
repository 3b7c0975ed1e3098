#include "graph/training/loss.h"

#include <optional>
#include <tuple>
#include <utility>

#include "attune/port.h"
#include "graph/ir/error.h"
#include "graph/rules/rules.h"
#include "kernels/signature.h"

namespace attune {
namespace {

struct LossRow {
  Loss loss;
  const char *name, *short_name;
  Op op, gradient;
  PortRole target;  // label: a class of each example, or of each of its positions
  std::optional<Op> metric;
};
constexpr LossRow kLosses[] = {
    {Loss::cross_entropy, "cross_entropy", "ce", Op::softmax_cross_entropy,
     Op::softmax_cross_entropy_grad, PortRole::label, Op::count_correct},
    {Loss::mean_squared_error, "mean_squared_error", "mse", Op::mean_squared_error,
     Op::mean_squared_error_grad, PortRole::target, std::nullopt},
};
const LossRow& row_of(Loss loss) { return kLosses[static_cast<int>(loss)]; }

ValueId model_output(const Graph& graph) {
  if (graph.outputs.empty()) throw_error("the model has no output");
  return graph.outputs.front().value;
}

const Node* producer_of(const Graph& graph, ValueId id) {
  const NodeId producer = graph.value(id).producer;
  return producer == kNone ? nullptr : &graph.nodes[producer];
}

// Seen as rows of scores.
ValueId flat_scores(Graph& graph, ValueId scores, int32_t rows, const char* name) {
  const Shape shape = graph.shape(scores);
  const Shape flat{rows, static_cast<int32_t>(shape.elements() / rows)};
  return graph.reshape(scores, flat, name);
}

// The scores, with the classes on the last axis: before a final softmax, axes of size 1 dropped
// where one axis has the classes. [N, classes], or [N, positions, classes].
ValueId logits_of(Graph& graph) {
  ValueId scores = model_output(graph);
  if (const Node* last = producer_of(graph, scores); last && last->op == Op::softmax)
    scores = last->inputs[0];
  const Shape shape = graph.shape(scores);
  if (shape.rank == 2) return scores;
  if (shape.rank > 2) {
    int wide = 0;
    for (int i = 1; i < shape.rank; ++i) wide += shape[i] != 1;
    if (wide <= 1) return flat_scores(graph, scores, shape[0], "logits");
    if (shape.rank == 3) return scores;
  }
  throw_error(
      "the model's output {} has shape {}; cross entropy needs [batch, classes], or [batch, "
      "positions, classes]: export the model with such an output",
      graph.value(model_output(graph)).name, shape_text(shape));
}

// Labels [N, positions] one after the other, and for each the weight of its example.
std::pair<ValueId, ValueId> for_positions(Graph& graph, ValueId labels, ValueId weights) {
  const Shape all = graph.shape(labels), flat{static_cast<int32_t>(all.elements())};
  const Shape column{all[0], 1};
  labels = graph.reshape(labels, flat, "labels/flat");
  weights = graph.reshape(weights, column, "weights/column");
  weights = graph.emit(Op::broadcast_to, BroadcastAttrs{}, {weights}, "weights/positions", &all);
  return {labels, graph.reshape(weights, flat, "weights/flat")};
}

}  // namespace

Loss parse_loss(const std::string& name) {
  for (const LossRow& row : kLosses)
    if (name == row.name || name == row.short_name) return row.loss;
  throw_error("loss '{}' is unknown; use {} or {}", name, kLosses[0].name, kLosses[1].name);
}

const char* loss_name(Loss loss) { return row_of(loss).name; }

int class_count(const Graph& graph) {
  Graph copy = graph;
  return copy.shape(logits_of(copy)).last();
}

AttachedLoss attach_loss(Graph& graph, Loss loss, bool with_gradient) {
  const LossRow& row = row_of(loss);
  AttachedLoss result;
  const ValueId output = row.target == PortRole::label ? logits_of(graph) : model_output(graph);
  Shape wanted = graph.shape(output);
  if (wanted.rank < 1)
    throw_error("the model's output is a scalar; {} needs a batch axis", row.name);
  ValueId prediction = output;
  if (row.target == PortRole::label) {
    --wanted.rank;
    prediction = flat_scores(graph, output, static_cast<int32_t>(wanted.elements()), "logits/flat");
  }
  result.prediction = prediction;
  const DType dtype = row.target == PortRole::label ? DType::i32 : graph.real;
  ValueId target = graph.add_input(port_name(row.target), dtype, wanted);
  ValueId weights = graph.add_input(port_name(PortRole::weight), graph.real, Shape{wanted[0]});
  if (row.target == PortRole::label && wanted.rank > 1)
    std::tie(target, weights) = for_positions(graph, target, weights);

  graph.outputs.clear();
  const std::vector<ValueId> inputs = {prediction, target, weights};
  if (row.metric)
    graph.outputs.push_back({port_name(PortRole::metric), graph.emit(*row.metric, NoAttrs{}, inputs,
                                                                     port_name(PortRole::metric))});
  Node node = graph.make(row.op, NoAttrs{}, inputs, "loss");
  graph.outputs.push_back({port_name(PortRole::loss), node.outputs[0]});
  // The gradient is computed from what the loss kept of the prediction, or from the prediction.
  ValueId kept = prediction;
  if (with_gradient && signature(row.op).outputs > 1) kept = graph.want_output(node, 1);
  graph.nodes.push_back(std::move(node));
  if (with_gradient)
    result.seed[prediction] =
        graph.emit(row.gradient, NoAttrs{}, {kept, target, weights}, "loss/grad");
  return result;
}

void attach_probabilities(Graph& graph) {
  ValueId probabilities = model_output(graph);
  const Node* last = producer_of(graph, probabilities);
  const bool normal = last && last->op == Op::softmax;
  const ValueId logits = logits_of(graph);
  if (!normal || graph.shape(probabilities) != graph.shape(logits))
    probabilities = graph.emit(Op::softmax, NoAttrs{}, {logits}, "probabilities");
  graph.outputs.push_back({"probabilities", probabilities});
}

}  // namespace attune
