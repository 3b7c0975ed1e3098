#include "graph/import/onnx/file/onnx_model.h"

#include <onnx/onnx_pb.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>

#include "attune/plan.h"
#include "graph/import/common/model_file.h"
#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/import/other_formats.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

uint64_t parse_number(const std::string& text, const std::string& where, const char* key) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw_error("{}: external data has {} '{}'", where, key, text);
  return value;
}

// Reads the bytes of one tensor from the file beside the model that it names.
// Returns a hash of the bytes, after `hash`.
uint64_t read_external(const std::string& model_path, onnx::TensorProto* tensor, uint64_t hash) {
  const std::string where = fmt::format("{}: tensor '{}'", model_path, tensor->name());
  std::string location;
  uint64_t offset = 0;
  uint64_t length = std::numeric_limits<uint64_t>::max();
  for (const auto& entry : tensor->external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_number(entry.value(), where, "offset");
    if (entry.key() == "length") length = parse_number(entry.value(), where, "length");
  }
  const fs::path relative(location);
  if (location.empty() || relative.is_absolute())
    throw_error("{}: external data location '{}' is not a relative path", where, location);
  for (const auto& part : relative)
    if (part == "..")
      throw_error("{}: external data location '{}' leaves the model's folder", where, location);
  const fs::path file = fs::path(model_path).parent_path() / relative;
  std::error_code code;
  const bool regular = fs::is_regular_file(file, code);
  const uint64_t size = regular ? fs::file_size(file, code) : 0;
  std::ifstream in;
  if (regular) in.open(file, std::ios::binary);  // a named pipe would wait for a writer
  if (!regular || code || !in)
    throw_error(
        "{}: cannot read its external data {}; the exporter wrote it beside the model, where it "
        "must stay",
        where, file.string());
  if (offset > size) throw_error("{}: {} ends before offset {}", where, file.string(), offset);
  if (length == std::numeric_limits<uint64_t>::max()) length = size - offset;
  if (length > size - offset)
    throw_error("{}: {} has {} bytes, where {} from offset {} are needed", where, file.string(),
                size, length, offset);
  // No element is larger: what is much more than the tensor holds is not read at all.
  constexpr uint64_t kLargestElement = 16;
  uint64_t most = kLargestElement;
  for (const int64_t dim : tensor->dims()) {
    if (dim < 0 || __builtin_mul_overflow(most, static_cast<uint64_t>(dim), &most))
      throw_error("{}: its shape is impossible; export the model again", where);
  }
  if (length > most)
    throw_error("{}: {} bytes from {} are more than its shape holds; give its offset and length",
                where, length, file.string());
  std::string bytes(length, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  if (!in.read(bytes.data(), static_cast<std::streamsize>(length)))
    throw_error("{}: cannot read {}", where, file.string());
  hash = hash64(std::as_bytes(std::span(bytes)), hash);
  tensor->set_raw_data(std::move(bytes));
  tensor->clear_external_data();
  tensor->clear_data_location();
  return hash;
}

}  // namespace

OnnxModel OnnxModel::load(const std::string& path) { return parse(read_model_file(path), path); }

OnnxModel OnnxModel::parse(std::string_view bytes, const std::string& path) {
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
  const auto external = [](const onnx::TensorProto& tensor) {
    return tensor.data_location() == onnx::TensorProto::EXTERNAL;
  };
  uint64_t hash = hash64(std::as_bytes(std::span(bytes)));
  for (auto& tensor : *proto->mutable_graph()->mutable_initializer())
    if (external(tensor)) hash = read_external(path, &tensor, hash);
  for (auto& node : *proto->mutable_graph()->mutable_node())
    for (auto& attribute : *node.mutable_attribute())
      if (attribute.has_t() && external(attribute.t()))
        hash = read_external(path, attribute.mutable_t(), hash);
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
