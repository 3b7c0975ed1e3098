#pragma once

#include "graph/ir/graph.h"
#include "graph/training/loss.h"

// A training step that goes through its batch in parts: the forward and backward pass of one
// micro-batch after the other, their gradients and losses added up, and one update at the end. The
// graph of a single micro-batch is made and optimised first, then repeated:
//
//   weigh_micro_batch(graph, loss);     // before differentiate
//   ...                                 // gradients as outputs of the graph
//   add_up_outputs(graph);
//   ...                                 // passes
//   repeat_micro_batch(graph, count);   // the whole batch; the optimizer is still to come
namespace attune {

// Makes the loss of a micro-batch, and its gradient, that part of the whole batch's loss (a mean
// over the weights of all examples) which these examples are.
void weigh_micro_batch(Graph& graph, AttachedLoss& loss);

// Adds every output to an input of the same shape, the sum over the micro-batches so far. The input
// port "sum:NAME" and the output port "sum:NAME" take the place of the output NAME.
void add_up_outputs(Graph& graph);

// The same work for `count` micro-batches, one after the other: the graph takes whole batches, of
// which each micro-batch reads its examples where they lie, and its outputs are the sums.
void repeat_micro_batch(Graph& graph, int count);

}  // namespace attune
