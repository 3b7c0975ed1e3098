#pragma once

#include <map>
#include <string>

#include "graph/ir/graph.h"

namespace attune {

enum class Loss { cross_entropy, mean_squared_error };

Loss parse_loss(const std::string& name);  // throws Error that lists the names
const char* loss_name(Loss loss);

// What attach_loss made.
struct AttachedLoss {
  ValueId prediction = kNone;  // what the loss reads: logits, or the model's output
  // The loss's gradient with respect to `prediction`; empty unless asked for.
  std::map<ValueId, ValueId> seed;
};

// Number of classes that the model's first output scores; throws Error where its shape is none.
int class_count(const Graph& graph);

// Adds the loss of the model's first output, with a weight for each example: input ports "labels"
// (i32 [N], or [N, positions] where the output is [N, positions, classes]: each position counts
// with its example's weight) or "targets" (like the output), and "weights" [N]; output ports "loss"
// [1] and, for classes, "correct" [1]. A model that ends in softmax is trained from that softmax's
// input. The model's own output ports are dropped. `with_gradient` emits the gradient beside the
// loss.
AttachedLoss attach_loss(Graph& graph, Loss loss, bool with_gradient);

// For prediction: adds the output port "probabilities" [N, classes] of a classifier.
void attach_probabilities(Graph& graph);

}  // namespace attune
