#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "graph/import/common/known_tensor.h"

namespace onnx {
class GraphProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace attune {

// Throws Error (naming `where`) on unreadable types, wrong sizes and external data not read before.
// Where `owner` keeps the proto, the tensor's data are a view of its bytes as far as their type
// allows, and copies else.
KnownTensor read_tensor(const onnx::TensorProto& proto, const std::string& where,
                        const std::shared_ptr<const void>& owner = nullptr);

// "element type 16 is not supported: it is BFLOAT16; ..".
std::string unsupported_type(int32_t type);

// The tensor of a graph that holds its contents in the file, an initializer or a Constant node's,
// or null.
const onnx::TensorProto* find_tensor(const onnx::GraphProto& graph, const std::string& name);

// The DequantizeLinear that makes a tensor of integers that the file holds, or null.
const onnx::NodeProto* find_dequantized(const onnx::GraphProto& graph, const std::string& name);
// What it makes.
KnownTensor read_dequantized(const onnx::GraphProto& graph, const onnx::NodeProto& node,
                             const std::string& where);

// What PyTorch says of its tensors. Empty where the graph is another exporter's.
std::unordered_map<std::string, Mark> read_marks(const onnx::GraphProto& graph);

}  // namespace attune
