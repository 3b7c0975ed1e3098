#include "graph/import/model.h"

#include "graph/import/onnx/onnx_model.h"

namespace attune {

ModelPtr load_model(const std::string& path) {
  return std::make_shared<OnnxModel>(OnnxModel::load(path));
}

ModelPtr parse_model(std::string_view bytes, const std::string& path) {
  return std::make_shared<OnnxModel>(OnnxModel::parse(bytes, path));
}

}  // namespace attune
