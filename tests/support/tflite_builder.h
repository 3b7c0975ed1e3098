#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "graph/import/tflite/tflite_generated.h"

namespace attune {

// Builds small TFLite models in memory. Tensors are numbers; those that are computed have no shape,
// as their operators find it.
class TfliteBuilder {
 public:
  using Options = std::pair<tflite::BuiltinOptions, flatbuffers::Offset<void>>;

  TfliteBuilder();
  int input(const std::vector<int>& dims, const std::string& name = "x",
            tflite::TensorType type = tflite::TensorType::FLOAT32);
  int weights(const std::vector<int>& dims, const std::string& name, float first = 0.1f,
              float step = 0.01f);  // first, first + step, .. , in a saw of 23 teeth
  int reals(const std::vector<int>& dims, const std::vector<float>& values);
  int halves(const std::vector<int>& dims, const std::string& name,
             const std::vector<uint16_t>& bits);
  int ints(const std::vector<int>& dims, const std::vector<int32_t>& values);
  int int8(const std::vector<int>& dims, const std::string& name, const std::vector<int8_t>& values,
           const std::vector<float>& scales, const std::vector<int64_t>& zeros, int axis = 0);
  // The next tensors share the bytes of this one.
  void share(int tensor) { shared_ = tensor; }
  // Adds an operator; returns its only output, or the first of several.
  int op(tflite::BuiltinOperator code, const std::vector<int>& inputs, Options options = {},
         int outputs = 1, tflite::TensorType type = tflite::TensorType::FLOAT32);
  void custom(const std::string& name, const std::vector<int>& inputs);
  void output(int tensor) { outputs_.push_back(tensor); }
  void signature(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);
  void labels(const std::string& file);

  // For the options of operators.
  flatbuffers::FlatBufferBuilder& builder() { return builder_; }
  std::string bytes();

 private:
  int tensor(const std::vector<int>& dims, const std::string& name, tflite::TensorType type,
             const void* data, size_t size,
             flatbuffers::Offset<tflite::Quantization> quantization = 0);

  flatbuffers::FlatBufferBuilder builder_;
  std::vector<flatbuffers::Offset<tflite::Tensor>> tensors_;
  std::vector<uint32_t> buffer_of_;
  std::vector<flatbuffers::Offset<tflite::Buffer>> buffers_;
  std::vector<flatbuffers::Offset<tflite::Operator>> operators_;
  std::vector<flatbuffers::Offset<tflite::OperatorCode>> codes_;
  std::vector<flatbuffers::Offset<tflite::SignatureDef>> signatures_;
  std::vector<flatbuffers::Offset<tflite::Metadata>> metadata_;
  std::vector<int> inputs_, outputs_;
  int shared_ = -1;
};

}  // namespace attune
