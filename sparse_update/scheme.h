#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// One parameter that a scheme trains: all of it, or channels along one axis of our layout.
struct TrainedSlice {
  std::string parameter;          // the model's tensor name
  int axis = -1;                  // of our layout; -1: all of it
  bool input_channels = false;    // what `axis` is, for people
  std::vector<int64_t> channels;  // increasing; empty where axis is -1
  bool operator==(const TrainedSlice&) const = default;
};

// A scheme with every choice made. What compile, the plan and the pruner work with.
struct Scheme {
  std::vector<TrainedSlice> slices;  // in the order of the model's layers
  // JSON that parse_scheme reads back to the same scheme.
  std::string json() const;
};

// Makes a scheme of what the user wrote, for this forward graph:
//   full      every float parameter, batch norm's gamma and beta included
//   head      the classifier
//   last:K    the classifier, and all parameters of the K layers before it
//   bias:K    the classifier, and the biases of the K layers before it (a layer's biases are its
//             own, else the beta of the batch norm after it, and those of norms that belong to it)
//   names:A,B the classifier, and the parameters that these patterns name
//   FILE.json {"head": true, "bias_last": K, "weights_last": K,
//              "layers": [{"layer": 21, "input_channels": 0.5},
//                         {"name": "*.{query,key}", "of_last": "4 blocks"}, ...],
//              "parameters": [{"name": "conv1.weight", "output_channels": [0, 3, 4]}, ...]}
//             every key is optional; "head" is true unless said otherwise. Layers count from 0 in
//             the order of execution, or are named by a pattern (glob.h), of all layers before the
//             classifier or of the last ones. Channels are "input_channels" or "output_channels": a
//             list of numbers, or a ratio in (0, 1] that keeps those whose weights have the largest
//             L2 norm (at least one). A parameter without channels is trained whole. A parameter
//             goes by the model's name for it, and by that of its layer: "encoder.0.query.weight".
//   {...}     such JSON itself
// K counts layers, or blocks ("4 blocks", on the command line 4blocks): the repeated parts of the
// model, and all that comes behind the first of them. Where a model has none, layers are blocks.
// Throws Error naming the file, the key and what is there instead.
Scheme parse_scheme(const std::string& spec, const Graph& forward);

}  // namespace attune
