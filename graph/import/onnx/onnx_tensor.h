#pragma once

#include <memory>
#include <string>

#include "graph/import/common/known_tensor.h"

namespace onnx {
class TensorProto;
}

namespace attune {

// Throws Error (naming `where`) on unreadable types, wrong sizes and external data not read before.
// Where `owner` keeps the proto, the tensor's data are a view of its bytes as far as their type
// allows, and copies else.
KnownTensor read_tensor(const onnx::TensorProto& proto, const std::string& where,
                        const std::shared_ptr<const void>& owner = nullptr);

}  // namespace attune
