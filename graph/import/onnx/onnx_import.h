#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/ir/graph.h"

namespace onnx {
class ModelProto;
}

namespace attune {

// A parsed ONNX file. Parsing checks the container only. External data is read into the tensors
// that refer to it, so that the model stands for itself from then on.
class OnnxModel {
 public:
  // Throws Error where the file is missing, truncated, not ONNX, or has external data that is
  // missing.
  static OnnxModel load(const std::string& path);
  // The same from bytes in memory. `path` names the model in errors; external data lies beside it.
  static OnnxModel parse(std::string_view bytes, const std::string& path);
  const onnx::ModelProto& proto() const { return *proto_; }
  const std::string& path() const { return path_; }
  // Of the file's bytes.
  uint64_t hash() const { return hash_; }

 private:
  std::string path_;
  uint64_t hash_ = 0;
  std::shared_ptr<const onnx::ModelProto> proto_;
};

struct ImportOptions {
  DType real = DType::f32;
  // Replaces the leading dimension of every input; 0 leaves it as the model has it.
  int batch = 1;
  // Shapes given by the user for inputs with unknown dimensions: input name -> dims, batch included
  // (its first element is replaced by `batch`).
  std::map<std::string, std::vector<int64_t>> input_shapes;
};

// Builds the forward graph: the model's inputs become ports of their ONNX names, its outputs ports
// of theirs. Everything convolutional is NHWC: the importer wraps such nodes in transposes, and
// `to_channels_last` (graph/passes) moves and cancels these. Shape arithmetic and other nodes whose
// inputs are all known are folded. Float initializers that a node trains become parameters with
// their Origin; BatchNorm's running statistics are constants. Throws one Error that lists all
// unsupported nodes (name and operator) at once.
Graph import_onnx(const OnnxModel& model, const ImportOptions& options);

}  // namespace attune
