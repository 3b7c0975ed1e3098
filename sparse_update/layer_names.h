#pragma once

#include <string>
#include <vector>

#include "sparse_update/layers.h"

// What layers and blocks are called: by the names that the model's author gave, as far as the file
// has them. Exporters keep them in the names of weights and biases ("encoder.layer.0.query.bias"),
// and in those of nodes ("/encoder/layer.0/query/MatMul"); a weight that they transposed is
// "val_7".
namespace attune {

// Gives all nodes of a layer one name, which no other layer has: a plan's steps bear it, too.
void name_layers(Graph& graph);

// Sets `block` of layers.
void find_blocks(std::vector<Layer>& layers);

// "encoder.layer.0.query" of the node name "/encoder/layer.0/query/MatMul"; "" where it has none.
std::string module_path(const std::string& node_name);

// How many dotted parts two names begin with alike.
int common_parts(const std::string& a, const std::string& b);

}  // namespace attune
