#include "graph/import/tflite/tflite_model.h"

#include <span>

#include "attune/plan.h"
#include "graph/ir/error.h"

namespace attune {

TfliteModel::TfliteModel(std::shared_ptr<const TfliteFile> file, Translation translation)
    : Model(file->path(), hash64(std::as_bytes(std::span(file->bytes())))),
      file_(std::move(file)),
      onnx_(path(), hash(), std::move(translation.proto)),
      weights_(std::move(translation.weights)) {}

bool TfliteModel::is_one(std::string_view bytes) {
  return bytes.size() >= 8 && bytes.substr(4, 4) == "TFL3";
}

ModelPtr TfliteModel::parse(std::string_view bytes, const std::string& path) {
  auto file = TfliteFile::parse(bytes, path);
  Translation translation = translate(file);
  return ModelPtr(new TfliteModel(std::move(file), std::move(translation)));
}

}  // namespace attune
