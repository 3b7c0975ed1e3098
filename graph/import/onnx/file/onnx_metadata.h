#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

// What exporters say of the parts of a file: fields that older versions of ONNX's library do not
// know.
namespace attune {

std::vector<onnx::StringStringEntryProto> metadata_of(const onnx::ValueInfoProto& info);
std::vector<onnx::StringStringEntryProto> metadata_of(const onnx::NodeProto& node);

// The module of the user's that PyTorch says a node is of: "encoder.layer.0"; or "".
std::string module_of(const onnx::NodeProto& node);

}  // namespace attune
