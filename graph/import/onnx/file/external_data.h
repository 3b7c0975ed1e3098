#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "graph/import/model_reading.h"
#include "graph/import/onnx/file/onnx_model.h"

namespace attune {

// Reads the tensors that lie in files beside a model into it, if `reading` allows that. Returns a
// hash of what was read, after `hash`. Throws Error.
uint64_t read_external_data(const std::string& model_path, const ModelReading& reading,
                            uint64_t hash, onnx::ModelProto* model);

// As OnnxModel::parse, which reads so.
OnnxModel parse_onnx(std::string_view bytes, const std::string& path, const ModelReading& reading);

}  // namespace attune
