#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "graph/import/onnx/file/onnx_model.h"

namespace attune {

// Builds small ONNX models in memory. A dimension of -1 is symbolic.
class OnnxBuilder {
 public:
  explicit OnnxBuilder(int opset = 17);

  OnnxBuilder& input(const std::string& name, const std::vector<int64_t>& dims);
  OnnxBuilder& int_input(const std::string& name, const std::vector<int64_t>& dims);  // int64
  OnnxBuilder& output(const std::string& name);
  // A float initializer with the elements first, first + step, ..
  OnnxBuilder& tensor(const std::string& name, const std::vector<int64_t>& dims, float first = 0.1f,
                      float step = 0.01f);
  OnnxBuilder& ints(const std::string& name, const std::vector<int64_t>& values);
  // The node is named after its first output, followed by "_node".
  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs);

  onnx::ModelProto& proto() { return proto_; }
  std::string bytes() const { return proto_.SerializeAsString(); }
  OnnxModel model() const { return OnnxModel::parse(bytes(), "model.onnx"); }
  Graph import(const ImportOptions& options = {}) const { return model().import(options); }

 private:
  onnx::ModelProto proto_;
};

void set_int(onnx::NodeProto& node, const char* name, int64_t value);
void set_ints(onnx::NodeProto& node, const char* name, const std::vector<int64_t>& values);
void set_float(onnx::NodeProto& node, const char* name, float value);
void set_text(onnx::NodeProto& node, const char* name, const std::string& value);

// What a call throws, or "" where it returns.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part);
int count_ops(const Graph& graph, Op op);
const Node* find_node(const Graph& graph, Op op);

// Element i of every test input: spread over -1 .. 1, the same everywhere.
double test_element(int64_t i);

}  // namespace attune
