#include "graph/training/loss.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "attune/port.h"
#include "graph/ir/error.h"
#include "graph/rules/rules.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// What a prediction is held against.
enum class Target {
  classes,        // one of each example, or of each of its positions
  signs,          // 0 or 1 for each number of the output
  probabilities,  // of each class
  numbers,        // one for each of the output's
  input,          // the model's own input
};

struct LossRow {
  Loss loss;
  const char *name, *short_name;
  Op op, gradient;
  Target target;
  std::optional<Op> metric;
  const char* help;
};
constexpr LossRow kLosses[] = {
    {Loss::cross_entropy, "cross_entropy", "ce", Op::softmax_cross_entropy,
     Op::softmax_cross_entropy_grad, Target::classes, Op::count_correct,
     "one class of several: labels [n], or [n, positions]"},
    {Loss::binary_cross_entropy, "binary_cross_entropy", "bce", Op::softmax_cross_entropy,
     Op::softmax_cross_entropy_grad, Target::signs, Op::count_correct,
     "yes or no: labels 0 and 1, [n] for one output, [n, k] for k"},
    {Loss::soft_cross_entropy, "soft_cross_entropy", "soft", Op::soft_cross_entropy,
     Op::soft_cross_entropy_grad, Target::probabilities, Op::count_agreeing,
     "probabilities of classes: targets [n, classes]"},
    {Loss::mean_squared_error, "mean_squared_error", "mse", Op::mean_squared_error,
     Op::mean_squared_error_grad, Target::numbers, std::nullopt,
     "numbers: targets like the output"},
    {Loss::mean_absolute_error, "mean_absolute_error", "l1", Op::mean_absolute_error,
     Op::mean_absolute_error_grad, Target::numbers, std::nullopt,
     "the same, by the size of errors"},
    {Loss::huber, "huber", "smooth_l1", Op::huber, Op::huber_grad, Target::numbers, std::nullopt,
     "the same, errors beyond --huber-delta by their size"},
    {Loss::reconstruction, "reconstruction", "autoencoder", Op::mean_squared_error,
     Op::mean_squared_error_grad, Target::input, std::nullopt,
     "the model's input, preprocessed, by squared errors: no labels"},
};
const LossRow& row_of(Loss loss) { return kLosses[static_cast<int>(loss)]; }

ValueId model_output(const Graph& graph) {
  if (graph.outputs.empty()) throw_error("the model has no output");
  return graph.outputs.front().value;
}

// "the model's output y has shape [N,3]; LOSS needs WANTED"
[[noreturn]] void misfit(const Graph& graph, Loss loss, const std::string& wanted) {
  const Port& output = graph.outputs.front();
  throw_error("the model's output {} has shape {}; {} needs {}", output.name,
              shape_text(graph.shape(output.value)), loss_name(loss), wanted);
}

// What the model ends in, behind nodes that only show the same numbers in another shape or order.
struct Ending {
  Op op = Op::reshape;
  ValueId before = kNone;   // that operator's input; kNone: the model ends in no operator
  std::vector<Node> views;  // from the operator to the output
};
Ending ending_of(const Graph& graph) {
  Ending end;
  NodeId at = graph.value(model_output(graph)).producer;
  for (; at != kNone; at = graph.value(end.views.back().inputs[0]).producer) {
    const Node& node = graph.nodes[at];
    if (node.op != Op::reshape && node.op != Op::transpose) {
      end.op = node.op, end.before = node.inputs[0];
      break;
    }
    end.views.push_back(node);
  }
  std::reverse(end.views.begin(), end.views.end());
  return end;
}
bool is_softmax(Op op) { return op == Op::softmax || op == Op::log_softmax; }

ValueId seen_through(Graph& graph, ValueId value, const std::vector<Node>& views) {
  for (const Node& view : views) {
    const Shape shape = graph.shape(view.outputs[0]);
    value = graph.emit(view.op, view.attrs, {value}, view.name + "/logits", &shape);
  }
  return value;
}

// Seen as rows of scores.
ValueId flat_scores(Graph& graph, ValueId scores, int32_t rows, const char* name) {
  const Shape shape = graph.shape(scores);
  const Shape flat{rows, static_cast<int32_t>(shape.elements() / rows)};
  return graph.reshape(scores, flat, name);
}

// The scores of classes, these on the last axis: before a final softmax, axes of size 1 dropped
// where one axis has the classes. [N, classes], or [N, positions, classes].
ValueId class_logits(Graph& graph, Loss loss) {
  ValueId scores = model_output(graph);
  const Shape output = graph.shape(scores);
  if (const Ending end = ending_of(graph); end.before != kNone && is_softmax(end.op)) {
    const Shape before = graph.shape(end.before);
    // Its last axis has the classes, wherever the output has them.
    scores = before[0] == output[0] ? end.before : seen_through(graph, end.before, end.views);
  }
  const Shape shape = graph.shape(scores);
  if (shape.rank < 1 || shape.elements() == shape[0])
    misfit(graph, loss,
           "a score for each class: give --loss binary_cross_entropy where labels are 0 and 1, or "
           "mean_squared_error where they are numbers");
  if (shape.rank == 2) return scores;
  if (shape.rank > 2) {
    int wide = 0;
    for (int i = 1; i < shape.rank; ++i) wide += shape[i] != 1;
    if (wide <= 1) return flat_scores(graph, scores, shape[0], "logits");
    if (shape.rank == 3) return scores;
  }
  misfit(graph, loss,
         "[batch, classes], or [batch, positions, classes]: export the model with such an output, "
         "or give --loss binary_cross_entropy where labels are 0 and 1 for each of its numbers, "
         "or mean_squared_error where they are numbers");
}

// Scores of two classes, 0 and the logit, for each number of the output: [N, .., 2], and [N, 2]
// where an example has one.
ValueId sign_logits(Graph& graph) {
  const Ending end = ending_of(graph);
  if (end.before != kNone && is_softmax(end.op))
    misfit(graph, Loss::binary_cross_entropy,
           fmt::format("logits or a sigmoid, and this is a {}: give --loss cross_entropy",
                       op_name(end.op)));
  ValueId logits = model_output(graph);
  if (end.op == Op::sigmoid && end.before != kNone)
    logits = seen_through(graph, end.before, end.views);
  Shape shape = graph.shape(logits);
  if (shape.rank < 1 || shape.rank == kMaxRank)
    misfit(graph, Loss::binary_cross_entropy, "[batch], [batch, 1] or [batch, outputs]");
  if (shape.elements() == shape[0]) shape = {shape[0]};
  shape.dims[shape.rank++] = 1;
  logits = graph.reshape(logits, shape, "logits/column");
  const ValueId sides = graph.add_constant("logits/sides", Shape{2}, {0, 1});
  return graph.emit(Op::mul, NoAttrs{}, {logits, sides}, "logits/both");
}

ValueId logits_of(Graph& graph, Loss loss) {
  return row_of(loss).target == Target::signs ? sign_logits(graph) : class_logits(graph, loss);
}

// A number for each of `like`'s, that of its example.
ValueId for_positions(Graph& graph, ValueId weights, const Shape& like) {
  Shape column = like;
  for (int i = 1; i < column.rank; ++i) column[i] = 1;
  weights = graph.reshape(weights, column, "weights/column");
  weights = graph.emit(Op::broadcast_to, BroadcastAttrs{}, {weights}, "weights/positions", &like);
  return graph.reshape(weights, Shape{static_cast<int32_t>(like.elements())}, "weights/flat");
}

// The model's first input as the model reads it, in the shape of its output.
ValueId input_as_target(Graph& graph, ValueId output) {
  const Port& port = graph.inputs.front();
  ValueId input = port.value;
  for (const Node& node : graph.nodes)
    if (node.op == Op::normalize && node.inputs[0] == input) {
      input = graph.transpose(node.outputs[0], {0, 3, 1, 2}, "target/planes");
      break;
    }
  const Shape given = graph.shape(input), wanted = graph.shape(output);
  if (!is_real(graph.value(input).dtype) || given.rank < 1 || given[0] != wanted[0] ||
      given.elements() != wanted.elements())
    misfit(graph, Loss::reconstruction,
           fmt::format("as many numbers as the input {} has, {}", port.name, shape_text(given)));
  return graph.reshape(input, wanted, "target");
}

// What the loss's operators read.
struct Operands {
  ValueId prediction, target, weights;
  std::vector<ValueId> list() const { return {prediction, target, weights}; }
};
Operands operands_of(Graph& graph, const LossRow& row) {
  const bool scores = row.metric.has_value();
  Operands all{scores ? logits_of(graph, row.loss) : model_output(graph), kNone, kNone};
  Shape shape = graph.shape(all.prediction);
  if (shape.rank < 1)
    throw_error("the model's output is a scalar; {} needs a batch axis", row.name);
  if (row.target == Target::probabilities && shape.rank != 2)
    misfit(graph, row.loss, "[batch, classes]");
  const int32_t batch = shape[0];
  const bool labels = row.target == Target::classes || row.target == Target::signs;
  if (labels) --shape.rank;
  if (row.target == Target::input) {
    all.target = input_as_target(graph, all.prediction);
  } else {
    const PortRole role = labels ? PortRole::label : PortRole::target;
    all.target = graph.add_input(port_name(role), labels ? DType::i32 : graph.real, shape);
  }
  all.weights = graph.add_input(port_name(PortRole::weight), graph.real, Shape{batch});
  if (!labels) return all;
  const auto rows = static_cast<int32_t>(shape.elements());
  all.prediction = flat_scores(graph, all.prediction, rows, "logits/flat");
  if (shape.rank > 1) {
    all.target = graph.reshape(all.target, Shape{rows}, "labels/flat");
    all.weights = for_positions(graph, all.weights, shape);
  }
  return all;
}

// (1 - share) * a + share * b
ValueId mixed(Graph& graph, ValueId a, ValueId b, double share, const std::string& name) {
  a = graph.emit(Op::scale, ScaleAttrs{.factor = 1 - share}, {a}, name + "/own");
  b = graph.emit(Op::scale, ScaleAttrs{.factor = share}, {b}, name + "/uniform");
  return graph.emit(Op::add, NoAttrs{}, {a, b}, name + "/smoothed");
}

}  // namespace

Loss parse_loss(const std::string& name) {
  std::vector<std::string> names;
  for (const LossRow& row : kLosses) {
    if (name == row.name || name == row.short_name) return row.loss;
    names.emplace_back(row.name);
  }
  throw_error("loss '{}' is unknown; use one of {}", name, fmt::join(names, ", "));
}

const char* loss_name(Loss loss) { return row_of(loss).name; }

std::string losses_help() {
  std::string text = "Losses, and what the data give for each:\n";
  for (const LossRow& row : kLosses)
    text += fmt::format("  {:34} {}\n", fmt::format("{} ({})", row.name, row.short_name), row.help);
  return text;
}

bool classifies(Loss loss) { return row_of(loss).metric.has_value(); }

void check_settings(Loss loss, const LossSettings& settings) {
  if (!(settings.huber_delta > 0 && settings.huber_delta <= 1e30))
    throw_error("--huber-delta {}: give a number above 0", settings.huber_delta);
  if (settings.huber_delta != 1 && loss != Loss::huber)
    throw_error("--huber-delta is for --loss huber, not {}", loss_name(loss));
  if (!(settings.label_smoothing >= 0 && settings.label_smoothing < 1))
    throw_error("--label-smoothing {}: give 0 or more, and less than 1", settings.label_smoothing);
  if (settings.label_smoothing > 0 && !classifies(loss))
    throw_error("--label-smoothing is for losses of classes, not {}", loss_name(loss));
}

void choose_output(Graph& graph, const std::string& name) {
  const auto found =
      std::find_if(graph.outputs.begin(), graph.outputs.end(), [&](const Port& port) {
        return name.empty() ? is_real(graph.value(port.value).dtype) : port.name == name;
      });
  std::vector<std::string> names;
  for (const Port& port : graph.outputs) names.push_back(port.name);
  if (found == graph.outputs.end() && name.empty()) return;  // refused when there is a loss
  if (found == graph.outputs.end())
    throw_error("--output {}: the model has no such output; it has {}", name,
                fmt::join(names, ", "));
  std::rotate(graph.outputs.begin(), found, found + 1);
}

Loss default_loss(const Graph& graph) {
  const Ending end = ending_of(graph);
  return end.op == Op::sigmoid && end.before != kNone ? Loss::binary_cross_entropy
                                                      : Loss::cross_entropy;
}

int class_count(const Graph& graph, Loss loss) {
  if (!classifies(loss)) return 0;
  Graph copy = graph;
  return copy.shape(logits_of(copy, loss)).last();
}

AttachedLoss attach_loss(Graph& graph, Loss loss, bool with_gradient,
                         const LossSettings& settings) {
  const LossRow& row = row_of(loss);
  const Operands operands = operands_of(graph, row);
  const AnyAttrs attrs =
      row.op == Op::huber ? AnyAttrs(HuberAttrs{settings.huber_delta}) : AnyAttrs(NoAttrs{});

  graph.outputs.clear();
  if (row.metric)
    graph.outputs.push_back(
        {port_name(PortRole::metric),
         graph.emit(*row.metric, NoAttrs{}, operands.list(), port_name(PortRole::metric))});
  Node node = graph.make(row.op, attrs, operands.list(), "loss");
  ValueId value = node.outputs[0];
  // The gradient is computed from what the loss kept of the prediction, or from the prediction.
  Operands kept = operands;
  if (with_gradient && signature(row.op).outputs > 1) kept.prediction = graph.want_output(node, 1);
  graph.nodes.push_back(std::move(node));
  ValueId gradient = kNone;
  if (with_gradient) gradient = graph.emit(row.gradient, attrs, kept.list(), "loss/grad");

  if (const double share = settings.label_smoothing; share > 0) {
    const Shape shape = graph.shape(operands.prediction);
    const std::vector<double> same(static_cast<size_t>(shape.elements()), 1.0 / shape.last());
    Operands uniform = operands;
    uniform.target = kept.target = graph.add_constant("loss/uniform", shape, same);
    const ValueId other =
        graph.emit(Op::soft_cross_entropy, NoAttrs{}, uniform.list(), "loss/uniform");
    value = mixed(graph, value, other, share, "loss");
    if (with_gradient) {
      const ValueId slope =
          graph.emit(Op::soft_cross_entropy_grad, NoAttrs{}, kept.list(), "loss/grad/uniform");
      gradient = mixed(graph, gradient, slope, share, "loss/grad");
    }
  }
  graph.outputs.push_back({port_name(PortRole::loss), value});
  AttachedLoss result{operands.prediction, {}};
  if (with_gradient) result.seed[operands.prediction] = gradient;
  return result;
}

void attach_probabilities(Graph& graph, Loss loss) {
  if (!classifies(loss)) return;
  ValueId probabilities = model_output(graph);
  const NodeId last = graph.value(probabilities).producer;
  const bool normal = last != kNone && graph.nodes[last].op == Op::softmax;
  const ValueId logits = logits_of(graph, loss);
  if (!normal || graph.shape(probabilities) != graph.shape(logits))
    probabilities = graph.emit(Op::softmax, NoAttrs{}, {logits}, "probabilities");
  // A model's own output of that name gives way.
  const auto own = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                [](const Port& port) { return port.name == "probabilities"; });
  if (own != graph.outputs.end())
    own->value = probabilities;
  else
    graph.outputs.push_back({"probabilities", probabilities});
}

}  // namespace attune
