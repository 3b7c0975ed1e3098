#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/random.h"
#include "graph/import/model.h"

namespace onnx {
class GraphProto;
class ModelProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace attune {

// Writes a model layer by layer, with random weights; each layer takes the output of the one
// before.
class ModelWriter {
 public:
  // The shape of an example: channels first, or features alone.
  explicit ModelWriter(const std::vector<int64_t>& example);
  ~ModelWriter();

  const std::string& at() const { return at_; }
  int64_t channels() const { return channels_; }

  struct Convolution {
    int kernel_h = 1, kernel_w = 1, stride = 1;
    bool depthwise = false, norm = false;
  };
  void convolution(int64_t outputs, const Convolution& c);
  void clamp6();
  void plain(const char* op) { add(op, {at_}); }  // an operator without attributes, by ONNX's name
  void add_from(const std::string& value) { add("Add", {at_, value}); }
  void max_pool();
  void average_pool(int h, int w);
  void linear(int64_t outputs);
  void classifier(int64_t classes);

  ModelPtr finish(const char* name);

 private:
  onnx::GraphProto& graph();
  onnx::NodeProto& add(const char* op, const std::vector<std::string>& inputs);
  onnx::TensorProto& tensor(const std::vector<int64_t>& dims);
  std::string filled(const std::vector<int64_t>& dims, float value);
  std::string weight(const std::vector<int64_t>& dims);

  std::unique_ptr<onnx::ModelProto> proto_;
  Random random_{0, 0};
  std::string at_;
  int64_t channels_ = 0;
};

}  // namespace attune
