#include "graph/import/onnx/file/onnx_model.h"

#include <onnx/onnx_pb.h>

#include <span>

#include "attune/plan.h"
#include "graph/import/common/model_file.h"
#include "graph/import/onnx/file/external_data.h"
#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/import/other_formats.h"
#include "graph/ir/error.h"

namespace attune {

OnnxModel OnnxModel::load(const std::string& path) {
  const ModelReading reading;
  return parse_onnx(read_model_file(path, reading.max_bytes), path, reading);
}

OnnxModel OnnxModel::parse(std::string_view bytes, const std::string& path) {
  return parse_onnx(bytes, path, {});
}

OnnxModel parse_onnx(std::string_view bytes, const std::string& path, const ModelReading& reading) {
  auto proto = std::make_shared<onnx::ModelProto>();
  if (bytes.size() > kMaxModelBytes) throw_error("{}: {}", path, kTooLarge);
  if (bytes.empty()) throw_error("{}: not an ONNX model: it is empty", path);
  const bool parsed = proto->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!parsed || proto->graph().node_size() + proto->graph().output_size() == 0) {
    if (const auto is = other_format(bytes); !is.empty())
      throw_error("{}: not an ONNX model but {}", path, is);
    if (!parsed) throw_error("{}: not an ONNX model, or a damaged one: is it all there?", path);
    throw_error("{}: not an ONNX model: it has no graph", path);
  }
  const uint64_t hash =
      read_external_data(path, reading, hash64(std::as_bytes(std::span(bytes))), proto.get());
  return OnnxModel(path, hash, std::move(proto));
}

std::vector<double> OnnxModel::reals(const std::string& name) const {
  const onnx::TensorProto* tensor = find_tensor(proto().graph(), name);
  if (const auto* node = tensor ? nullptr : find_dequantized(proto().graph(), name))
    return read_dequantized(proto().graph(), *node, path() + ": " + name).data->reals();
  if (!tensor) throw_error("{}: there is no initializer '{}'", path(), name);
  return read_tensor(*tensor, path() + ": initializer " + name, proto_).data->reals();
}

}  // namespace attune
