#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

// What becomes of the running statistics of batch norms.
namespace attune {

enum class BatchNorm {
  frozen,    // constants
  estimate,  // averaged over the user's data before training, constants in it
  update,    // averaged in training, which normalises by the statistics of each batch
};

BatchNorm parse_batch_norm(const std::string& name);  // throws Error that lists the names
const char* batch_norm_name(BatchNorm mode);

// Makes the statistics of every batch norm what a plan keeps and exports: Role::statistic. Throws
// Error where there are none, or one is something else, too.
void track_statistics(Graph& graph, BatchNorm mode);

// Throws Error where a trained parameter and a frozen statistic are one tensor of the model, which
// export would change for both.
void check_frozen_statistics(const Graph& graph);

// The statistics of batch norms that are left, in the order of the nodes.
std::vector<ValueId> tracked_statistics(const Graph& graph);

// Every batch norm normalises by the statistics of its batch of so many examples, of those whose
// weight (input port "weights", made where there is none) is not 0. Before differentiate.
void use_batch_statistics(Graph& graph, int examples);

// Appends their running averages: with the momentum that the model states, or (input port "step")
// of all steps alike.
void append_running_statistics(Graph& graph, bool of_all_steps);

}  // namespace attune
