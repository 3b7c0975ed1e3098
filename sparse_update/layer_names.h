#pragma once

#include <string>
#include <vector>

#include "sparse_update/layers.h"

// What layers and blocks are called: by the names that the model's author gave, as far as the file
// has them. Exporters keep them in the names of weights and biases ("encoder.layer.0.query.bias"),
// but a weight that they transposed is "onnx::MatMul_12" or "val_7"; and in those of nodes
// ("/encoder/layer.0/query/MatMul").
namespace attune {

// Sets `name` and `block` of layers.
void name_layers(const Graph& graph, std::vector<Layer>& layers);

// Names the nodes after the layers that they are of, so that a plan's steps bear these names.
void name_layer_nodes(Graph& graph);

// "encoder.layer.0.query" of the node name "/encoder/layer.0/query/MatMul"; "" where it has none.
std::string module_path(const std::string& node_name);

// How many dotted parts two names begin with alike.
int common_parts(const std::string& a, const std::string& b);

}  // namespace attune
