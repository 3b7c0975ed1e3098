#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/import/onnx/file/onnx_model.h"
#include "graph/import/tflite/translator.h"

namespace attune {

// A TensorFlow Lite file, translated to ONNX in memory when it is read; everything but the writing
// of TFLite goes by that. Quantised tensors are what they stand for, in floats.
class TfliteModel final : public Model {
 public:
  // Throws one Error that lists all operators that are not supported.
  static ModelPtr parse(std::string_view bytes, const std::string& path);
  static bool is_one(std::string_view bytes);

  Graph import(const ImportOptions& options) const override { return onnx_.import(options); }
  std::vector<double> reals(const std::string& tensor) const override {
    return onnx_.reals(tensor);
  }
  // As ONNX.
  std::string with_tensors(const std::vector<ModelTensor>& tensors,
                           const ImportOptions& imported) const override {
    return onnx_.with_tensors(tensors, imported);
  }
  std::string in_own_format(const std::vector<ModelTensor>& tensors,
                            const ImportOptions& imported) const override;
  std::string own_format() const override { return "tflite"; }
  std::string label_file() const override { return file_->label_file(); }

 private:
  TfliteModel(std::shared_ptr<const TfliteFile> file, Translation translation);

  std::shared_ptr<const TfliteFile> file_;
  OnnxModel onnx_;
  std::map<std::string, Weight> weights_;  // by initializer
};

}  // namespace attune
