#pragma once

#include <memory>
#include <vector>

namespace onnx {
class NodeProto;
}

namespace attune {

class OnnxModel;

using NodeList = std::vector<std::shared_ptr<const onnx::NodeProto>>;

// The nodes of a model in their order, calls of the file's own functions replaced by what these are
// made of: inner tensors and nodes are named after the call. Throws Error where a function calls
// itself, or is of another opset than the model.
NodeList inlined_nodes(const OnnxModel& model);

}  // namespace attune
