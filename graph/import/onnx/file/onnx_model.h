#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/import/model.h"

namespace onnx {
class ModelProto;
}

namespace attune {

// A parsed ONNX file. Parsing checks the container only. External data is read into the tensors
// that refer to it, so that the model stands for itself from then on. Copies share what was read.
class OnnxModel final : public Model {
 public:
  // As load_model and parse_model.
  static OnnxModel load(const std::string& path);
  static OnnxModel parse(std::string_view bytes, const std::string& path);
  // What a model of another format was translated to, whose path and hash these are.
  OnnxModel(std::string path, uint64_t hash, std::shared_ptr<const onnx::ModelProto> proto)
      : Model(std::move(path), hash), proto_(std::move(proto)) {}
  const onnx::ModelProto& proto() const { return *proto_; }
  // Keeps the proto, and with it the tensors that are views of its bytes.
  std::shared_ptr<const void> shared() const { return proto_; }

  Graph import(const ImportOptions& options) const override;
  std::vector<double> reals(const std::string& tensor) const override;
  std::string with_tensors(const std::vector<ModelTensor>& tensors,
                           const ImportOptions& imported) const override;

 private:
  std::shared_ptr<const onnx::ModelProto> proto_;
};

}  // namespace attune
