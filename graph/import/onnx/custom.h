#pragma once

#include <functional>
#include <string>

namespace attune {

class OnnxNode;
using OnnxImport = std::function<void(OnnxNode& n)>;

// Says how nodes of the user's own domain are imported, "com.example.Snake" by its domain and type:
// by onnx_node.h, out of what operators there are. Operators that are registered with a rule
// (graph/rules/custom.h) need no import of their own.
void register_import(const std::string& name, OnnxImport import);

// Empty where nothing is registered under this name.
OnnxImport custom_import(const std::string& name);

}  // namespace attune
