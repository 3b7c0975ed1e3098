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

// A row for each action, 1 at its place.
constexpr const char* kActions = "loss/actions";

// What a prediction is held against.
enum class Target {
  classes,        // one of each example, or of each of its positions
  signs,          // 0 or 1 for each number of the output
  actions,        // as classes, and how much better than expected each one did
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
    {Loss::policy_gradient, "policy_gradient", "pg", Op::soft_cross_entropy,
     Op::soft_cross_entropy_grad, Target::actions, Op::count_correct,
     "choices and what came of them: actions [n], advantages [n]"},
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

// The axis of an output that has the classes.
int class_axis_of(const Graph& graph, Loss loss, int given) {
  const int rank = graph.shape(model_output(graph)).rank;
  if (given == 0) return rank > 3 ? 1 : rank - 1;
  const int axis = given < 0 ? given + rank : given;
  if (axis < 1 || axis >= rank)
    misfit(graph, loss, fmt::format("an axis {} of classes behind that of examples", given));
  return axis;
}

// The classes moved to the last axis.
ValueId classes_last(Graph& graph, ValueId scores, int axis) {
  std::vector<int> perm;
  for (int i = 0; i < graph.shape(scores).rank; ++i)
    if (i != axis) perm.push_back(i);
  perm.push_back(axis);
  return graph.transpose(scores, perm, "logits/classes_last");
}

// The scores of classes, these on the last axis: before a final softmax, axes of size 1 dropped
// where one axis has the classes. [N, classes], or [N, positions .., classes].
ValueId class_logits(Graph& graph, Loss loss, int given_axis) {
  ValueId scores = model_output(graph);
  const Shape output = graph.shape(scores);
  bool last = false;
  if (const Ending end = ending_of(graph); end.before != kNone && is_softmax(end.op)) {
    const Shape before = graph.shape(end.before);
    // Its last axis has the classes, wherever the output has them.
    last = before[0] == output[0] && before.rank == output.rank;
    scores = before[0] == output[0] ? end.before : seen_through(graph, end.before, end.views);
    if (const int classes = output[class_axis_of(graph, loss, given_axis)];
        last && given_axis != 0 && classes != before.last())
      misfit(
          graph, loss,
          fmt::format("--class-axis where its {} has {} classes", op_name(end.op), before.last()));
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
    const int axis = last ? shape.rank - 1 : class_axis_of(graph, loss, given_axis);
    if (shape[axis] > 1) return classes_last(graph, scores, axis);
  }
  misfit(graph, loss,
         "[batch, classes], or positions too (--class-axis says where the classes are): export the "
         "model with such an output, "
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

ValueId logits_of(Graph& graph, Loss loss, const LossSettings& settings) {
  return row_of(loss).target == Target::signs ? sign_logits(graph)
                                              : class_logits(graph, loss, settings.class_axis);
}

// A number for each of `like`'s, that of its example.
ValueId for_positions(Graph& graph, ValueId numbers, const Shape& like) {
  const std::string name = graph.value(numbers).name;
  Shape column = like;
  for (int i = 1; i < column.rank; ++i) column[i] = 1;
  numbers = graph.reshape(numbers, column, name + "/column");
  numbers = graph.emit(Op::broadcast_to, BroadcastAttrs{}, {numbers}, name + "/positions", &like);
  return graph.reshape(numbers, Shape{static_cast<int32_t>(like.elements())}, name + "/flat");
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
  ValueId advantages = kNone;  // of actions, one for each target
  std::vector<ValueId> list() const { return {prediction, target, weights}; }
};
Operands operands_of(Graph& graph, const LossRow& row, const LossSettings& settings) {
  const bool scores = row.metric.has_value();
  Operands all{scores ? logits_of(graph, row.loss, settings) : model_output(graph), kNone, kNone,
               kNone};
  Shape shape = graph.shape(all.prediction);
  if (shape.rank < 1)
    throw_error("the model's output is a scalar; {} needs a batch axis", row.name);
  if (row.target == Target::probabilities && shape.rank != 2)
    misfit(graph, row.loss, "[batch, classes]");
  const int32_t batch = shape[0];
  const bool acts = row.target == Target::actions;
  const bool labels = acts || row.target == Target::classes || row.target == Target::signs;
  if (labels) --shape.rank;
  if (row.target == Target::input) {
    all.target = input_as_target(graph, all.prediction);
  } else {
    const PortRole role = labels ? PortRole::label : PortRole::target;
    all.target = graph.add_input(port_name(role), labels ? DType::i32 : graph.real, shape);
  }
  const bool positions = row.target == Target::classes;  // each with a weight
  all.weights =
      graph.add_input(port_name(PortRole::weight), graph.real, positions ? shape : Shape{batch});
  if (acts)
    all.advantages = graph.add_input(port_name(PortRole::advantage), graph.real, Shape{batch});
  if (!labels) return all;
  const auto rows = static_cast<int32_t>(shape.elements());
  all.prediction = flat_scores(graph, all.prediction, rows, "logits/flat");
  if (shape.rank > 1) {
    all.target = graph.reshape(all.target, Shape{rows}, "labels/flat");
    all.weights = positions ? graph.reshape(all.weights, Shape{rows}, "weights/flat")
                            : for_positions(graph, all.weights, shape);
    if (acts) all.advantages = for_positions(graph, all.advantages, shape);
  }
  return all;
}

// Of each class, the advantage where it is the action that was taken, else 0. Soft cross entropy
// with such targets, which need not sum to 1, is -advantage * log p(action).
ValueId weighed_actions(Graph& graph, const Operands& operands) {
  const Shape shape = graph.shape(operands.prediction);
  const int32_t actions = shape.last();
  std::vector<double> one_hot(static_cast<size_t>(actions) * static_cast<size_t>(actions));
  for (int32_t i = 0; i < actions; ++i) one_hot[static_cast<size_t>(i) * (actions + 1)] = 1;
  const ValueId table = graph.add_constant(kActions, Shape{actions, actions}, std::move(one_hot));
  const ValueId taken = graph.emit(Op::take, NoAttrs{}, {table, operands.target}, "loss/taken");
  const ValueId column = graph.reshape(operands.advantages, Shape{shape[0], 1}, "loss/advantages");
  return graph.emit(Op::mul, NoAttrs{}, {taken, column}, "loss/targets");
}

// a - factor * b
ValueId less(Graph& graph, ValueId a, ValueId b, double factor, const std::string& name) {
  b = graph.emit(Op::scale, ScaleAttrs{.factor = factor}, {b}, name + "/bonus");
  return graph.emit(Op::sub, NoAttrs{}, {a, b}, name + "/with_bonus");
}

// The targets of the loss and of its gradient that take bonus * entropy from it: with p as a
// target, soft cross entropy is the entropy, and with p * log p its gradient is that of the
// entropy.
void add_entropy_bonus(Graph& graph, ValueId scores, double bonus, ValueId* target,
                       ValueId* gradient_target) {
  const ValueId p = graph.emit(Op::softmax, NoAttrs{}, {scores}, "loss/policy");
  const ValueId log_p = graph.emit(Op::log_softmax, NoAttrs{}, {scores}, "loss/log_policy");
  const ValueId terms = graph.emit(Op::mul, NoAttrs{}, {p, log_p}, "loss/entropy");
  *target = less(graph, *target, p, bonus, "loss/targets");
  *gradient_target = less(graph, *gradient_target, terms, bonus, "loss/grad/targets");
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
  const bool acts = row_of(loss).target == Target::actions;
  if (settings.label_smoothing > 0 && (acts || !classifies(loss)))
    throw_error("--label-smoothing is for losses of classes, not {}", loss_name(loss));
  if (!(settings.entropy_bonus >= 0 && settings.entropy_bonus <= 1e30))
    throw_error("--entropy-bonus {}: give 0 or more", settings.entropy_bonus);
  if (settings.entropy_bonus > 0 && !acts)
    throw_error("--entropy-bonus is for --loss policy_gradient, not {}", loss_name(loss));
  for (const auto& [option, given] :
       {std::pair("--class-axis", settings.class_axis != 0),
        std::pair("--ignore-label", settings.ignore_label != kIgnoredLabel)})
    if (given && loss != Loss::cross_entropy)
      throw_error("{} is for --loss cross_entropy, not {}", option, loss_name(loss));
}

LossSettings as_judged(const LossSettings& settings) {
  LossSettings judged = settings;
  judged.label_smoothing = judged.entropy_bonus = 0;
  return judged;
}

bool is_table_of_loss(const Value& value) { return value.name == kActions; }

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

int class_count(const Graph& graph, Loss loss, const LossSettings& settings) {
  if (!classifies(loss)) return 0;
  Graph copy = graph;
  return copy.shape(logits_of(copy, loss, settings)).last();
}

AttachedLoss attach_loss(Graph& graph, Loss loss, bool with_gradient,
                         const LossSettings& settings) {
  const LossRow& row = row_of(loss);
  Operands operands = operands_of(graph, row, settings);
  const AnyAttrs attrs =
      row.op == Op::huber ? AnyAttrs(HuberAttrs{settings.huber_delta}) : AnyAttrs(NoAttrs{});

  graph.outputs.clear();
  if (row.metric)
    graph.outputs.push_back(
        {port_name(PortRole::metric),
         graph.emit(*row.metric, NoAttrs{}, operands.list(), port_name(PortRole::metric))});
  ValueId gradient_target = operands.target;
  if (row.target == Target::actions) {
    operands.target = gradient_target = weighed_actions(graph, operands);
    if (const double bonus = settings.entropy_bonus; bonus > 0)
      add_entropy_bonus(graph, operands.prediction, bonus, &operands.target, &gradient_target);
  }
  Node node = graph.make(row.op, attrs, operands.list(), "loss");
  ValueId value = node.outputs[0];
  // The gradient is computed from what the loss kept of the prediction, or from the prediction.
  Operands kept = operands;
  kept.target = gradient_target;
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

ValueId sum_by_example(Graph& graph, ValueId weights) {
  const Shape shape = graph.shape(weights);
  if (shape.rank < 2) return weights;
  const ReduceAttrs positions{(1 << shape.rank) - 2};
  weights = graph.emit(Op::reduce, positions, {weights}, "weights/of_examples");
  return graph.reshape(weights, Shape{shape[0]}, "weights/examples");
}

void attach_probabilities(Graph& graph, Loss loss, const LossSettings& settings) {
  if (!classifies(loss)) return;
  ValueId probabilities = model_output(graph);
  const NodeId last = graph.value(probabilities).producer;
  const bool normal = last != kNone && graph.nodes[last].op == Op::softmax;
  const ValueId logits = logits_of(graph, loss, settings);
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
