#pragma once

#include <map>
#include <string>

#include "attune/dataset.h"
#include "graph/ir/graph.h"

namespace attune {

enum class Loss {
  cross_entropy,
  binary_cross_entropy,
  soft_cross_entropy,
  policy_gradient,
  mean_squared_error,
  mean_absolute_error,
  huber,
  reconstruction
};

Loss parse_loss(const std::string& name);  // throws Error that lists the names
const char* loss_name(Loss loss);
// For --help: a line for each loss, with what the data give for it.
std::string losses_help();

// Whether it is learned which class an example is of: then there are class names, an accuracy, and
// probabilities.
bool classifies(Loss loss);

struct LossSettings {
  double huber_delta = 1;      // errors beyond count by their size, and not squared
  double label_smoothing = 0;  // of this share a target is the same for every class
  double entropy_bonus = 0;    // of a policy: so many times its entropy is taken from the loss
  // The axis of an output of many positions that has the classes, from the end where negative. 0:
  // the last of [N, positions, classes], the first behind N where there are more axes.
  int class_axis = 0;
  int32_t ignore_label = kIgnoredLabel;  // what the data have at positions that do not count
};
// Those by which a trained model is judged: by labels as they are, and without a bonus.
LossSettings as_judged(const LossSettings& settings);
// Throws Error where a setting is out of range, or does nothing for this loss.
void check_settings(Loss loss, const LossSettings& settings);

// Moves the output of this name to the front: what follows trains by the first one. Empty: the
// first of real numbers. Throws Error that lists the outputs where there is none of that name.
void choose_output(Graph& graph, const std::string& name);

// The loss for a model that ends like this one: binary_cross_entropy after a sigmoid, else
// cross_entropy.
Loss default_loss(const Graph& graph);

// What attach_loss made.
struct AttachedLoss {
  ValueId prediction = kNone;  // what the loss reads: logits, or the model's output
  // The loss's gradient with respect to `prediction`; empty unless asked for.
  std::map<ValueId, ValueId> seed;
};

// Number of classes that the model's first output scores; 0 where the loss learns numbers. Throws
// Error where the output's shape is none that the loss takes.
int class_count(const Graph& graph, Loss loss, const LossSettings& settings = {});

// Adds the loss of the model's first output, with a weight for each example: input ports "labels"
// (i32) or "targets", unless the target is the model's input, and "weights" [N], for a policy's
// gradient "advantages" [N], too; output ports "loss" [1] and, for classes, "correct" [1]. The
// table in docs/command.md has the shapes. Where an example has a class for each of its positions,
// each has its weight; else labels and targets of positions count with their example's. A model
// that ends in softmax, log of softmax or sigmoid is trained from that operator's input where the
// loss has it in itself. The model's own output ports are dropped. `with_gradient` emits the
// gradient beside the loss.
AttachedLoss attach_loss(Graph& graph, Loss loss, bool with_gradient,
                         const LossSettings& settings = {});

// Whether this is a table that a loss looks up, and none of the model's.
bool is_table_of_loss(const Value& value);
// What the positions of each example weigh together: [N] of weights [N, ..].
ValueId sum_by_example(Graph& graph, ValueId weights);

// For prediction, where the loss is one that classifies: adds the output port "probabilities", with
// the classes on the last axis; of one logit, these are two.
void attach_probabilities(Graph& graph, Loss loss, const LossSettings& settings = {});

}  // namespace attune
