#include "graph/import/model.h"

#include "graph/import/common/model_file.h"
#include "graph/import/model_reading.h"
#include "graph/import/onnx/file/external_data.h"
#include "graph/import/tflite/tflite_model.h"
#include "graph/ir/error.h"

namespace attune {

std::string Model::in_own_format(const std::vector<ModelTensor>& tensors,
                                 const ImportOptions& imported) const {
  return with_tensors(tensors, imported);
}

ModelPtr load_model(const std::string& path) { return load_model(path, {}); }

ModelPtr parse_model(std::string_view bytes, const std::string& path) {
  return parse_model(bytes, path, {});
}

ModelPtr load_model(const std::string& path, const ModelReading& reading) {
  return parse_model(read_model_file(path, reading.max_bytes), path, reading);
}

ModelPtr parse_model(std::string_view bytes, const std::string& path, const ModelReading& reading) {
  if (TfliteModel::is_one(bytes)) return TfliteModel::parse(bytes, path);
  return std::make_shared<OnnxModel>(parse_onnx(bytes, path, reading));
}

}  // namespace attune
