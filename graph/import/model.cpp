#include "graph/import/model.h"

#include "graph/import/common/model_file.h"
#include "graph/import/onnx/file/onnx_model.h"
#include "graph/import/tflite/tflite_model.h"
#include "graph/ir/error.h"

namespace attune {

std::string Model::in_own_format(const std::vector<ModelTensor>& tensors,
                                 const ImportOptions& imported) const {
  return with_tensors(tensors, imported);
}

ModelPtr load_model(const std::string& path) { return parse_model(read_model_file(path), path); }

ModelPtr parse_model(std::string_view bytes, const std::string& path) {
  if (TfliteModel::is_one(bytes)) return TfliteModel::parse(bytes, path);
  return std::make_shared<OnnxModel>(OnnxModel::parse(bytes, path));
}

}  // namespace attune
