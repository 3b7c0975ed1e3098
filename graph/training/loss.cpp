#include "graph/training/loss.h"

#include "graph/ir/error.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

ValueId model_output(const Graph& graph) {
  if (graph.outputs.empty()) throw_error("the model has no output");
  return graph.outputs.front().value;
}

const Node* producer_of(const Graph& graph, ValueId id) {
  for (const Node& node : graph.nodes)
    for (ValueId output : node.outputs)
      if (output == id) return &node;
  return nullptr;
}

// The scores as [N, classes]: before a final softmax, further axes of size 1 dropped.
ValueId logits_of(Graph& graph) {
  ValueId scores = model_output(graph);
  if (const Node* last = producer_of(graph, scores); last && last->op == Op::softmax)
    scores = last->inputs[0];
  const Shape shape = graph.shape(scores);
  if (shape.rank == 2) return scores;
  if (shape.rank > 2 && shape.product(1, shape.rank) > 0) {
    int wide = 0;
    for (int i = 1; i < shape.rank; ++i) wide += shape[i] != 1;
    if (wide <= 1) {
      const Shape flat{shape[0], static_cast<int32_t>(shape.product(1, shape.rank))};
      return graph.emit(Op::reshape, NoAttrs{}, {scores}, "logits", &flat);
    }
  }
  throw_error("the model's output {} has shape {}; cross entropy needs [batch, classes]",
              graph.value(model_output(graph)).name, shape_text(shape));
}

}  // namespace

Loss parse_loss(const std::string& name) {
  if (name == "cross_entropy") return Loss::cross_entropy;
  if (name == "mean_squared_error" || name == "mse") return Loss::mean_squared_error;
  throw_error("loss '{}' is unknown; use cross_entropy or mean_squared_error", name);
}

const char* loss_name(Loss loss) {
  return loss == Loss::cross_entropy ? "cross_entropy" : "mean_squared_error";
}

int class_count(const Graph& graph) {
  Graph copy = graph;
  return copy.shape(logits_of(copy))[1];
}

AttachedLoss attach_loss(Graph& graph, Loss loss, bool with_gradient) {
  AttachedLoss result;
  const auto weights_for = [&](ValueId prediction) {
    return graph.add_input("weights", graph.real, Shape{graph.shape(prediction)[0]});
  };
  if (loss == Loss::cross_entropy) {
    const ValueId logits = result.prediction = logits_of(graph);
    const ValueId labels = graph.add_input("labels", DType::i32, Shape{graph.shape(logits)[0]});
    const ValueId weights = weights_for(logits);
    graph.outputs.clear();
    graph.outputs.push_back({"correct", graph.emit(Op::count_correct, NoAttrs{},
                                                   {logits, labels, weights}, "correct")});
    Node node = graph.make(Op::softmax_cross_entropy, NoAttrs{}, {logits, labels, weights}, "loss");
    graph.outputs.push_back({"loss", node.outputs[0]});
    const ValueId probabilities = with_gradient ? graph.want_output(node, 1) : kNone;
    graph.nodes.push_back(std::move(node));
    // dlogits = (probabilities - onehot(labels)) * weights / sum(weights)
    if (with_gradient)
      result.seed[logits] = graph.emit(Op::softmax_cross_entropy_grad, NoAttrs{},
                                       {probabilities, labels, weights}, "loss/grad");
  } else {
    const ValueId prediction = result.prediction = model_output(graph);
    if (graph.shape(prediction).rank < 1)
      throw_error("the model's output is a scalar; mean_squared_error needs a batch axis");
    const ValueId targets = graph.add_input("targets", graph.real, graph.shape(prediction));
    const ValueId weights = weights_for(prediction);
    graph.outputs.clear();
    graph.outputs.push_back({"loss", graph.emit(Op::mean_squared_error, NoAttrs{},
                                                {prediction, targets, weights}, "loss")});
    if (with_gradient)
      result.seed[prediction] = graph.emit(Op::mean_squared_error_grad, NoAttrs{},
                                           {prediction, targets, weights}, "loss/grad");
  }
  return result;
}

void attach_probabilities(Graph& graph) {
  const ValueId output = model_output(graph);
  const Node* last = producer_of(graph, output);
  if (last && last->op == Op::softmax && graph.shape(output).rank == 2) {
    graph.outputs.push_back({"probabilities", output});
    return;
  }
  const ValueId logits = logits_of(graph);
  graph.outputs.push_back(
      {"probabilities", graph.emit(Op::softmax, NoAttrs{}, {logits}, "probabilities")});
}

}  // namespace attune
