#include "graph/import/onnx/file/external_data.h"

#include <onnx/onnx_pb.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>

#include "attune/plan.h"
#include "graph/import/common/model_file.h"
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

// The file that a tensor says its bytes are in, which lies in the model's folder. A link is
// followed only where the user allows it: whoever made the model chose what it leads to.
fs::path external_file(const std::string& where, const std::string& model_path,
                       const std::string& location, bool follow_links) {
  const fs::path relative(location);
  if (location.empty() || relative.is_absolute())
    throw_error("{}: external data location '{}' is not a relative path", where, location);
  fs::path file = fs::path(model_path).parent_path();
  for (const auto& part : relative) {
    if (part == "..")
      throw_error("{}: external data location '{}' leaves the model's folder", where, location);
    file /= part;
    std::error_code none;
    if (!follow_links && fs::is_symlink(file, none))
      throw_error("{}: its external data {} is a link to {}; --follow-links reads what that is",
                  where, file.string(), fs::read_symlink(file, none).string());
  }
  return file;
}

// Data beside a model, as they are read.
struct ExternalData {
  const std::string& model_path;
  const ModelReading& reading;
  uint64_t hash;       // of all bytes read
  uint64_t bytes = 0;  // read so far: many tensors may name the same part of a file

  void read(onnx::TensorProto* tensor);
};

// Reads the bytes of one tensor from the file beside the model that it names.
void ExternalData::read(onnx::TensorProto* tensor) {
  const std::string where = fmt::format("{}: tensor '{}'", model_path, tensor->name());
  std::string location;
  uint64_t offset = 0;
  uint64_t length = std::numeric_limits<uint64_t>::max();
  for (const auto& entry : tensor->external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_number(entry.value(), where, "offset");
    if (entry.key() == "length") length = parse_number(entry.value(), where, "length");
  }
  const fs::path file = external_file(where, model_path, location, reading.follow_links);
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
  if (length > reading.max_bytes - bytes)
    throw_too_many_bytes(file.string(), bytes + length, reading.max_bytes);
  bytes += length;
  std::string contents(length, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  if (!in.read(contents.data(), static_cast<std::streamsize>(length)))
    throw_error("{}: cannot read {}", where, file.string());
  hash = hash64(std::as_bytes(std::span(contents)), hash);
  tensor->set_raw_data(std::move(contents));
  tensor->clear_external_data();
  tensor->clear_data_location();
}

}  // namespace

uint64_t read_external_data(const std::string& model_path, const ModelReading& reading,
                            uint64_t hash, onnx::ModelProto* model) {
  const auto external = [](const onnx::TensorProto& tensor) {
    return tensor.data_location() == onnx::TensorProto::EXTERNAL;
  };
  ExternalData beside{model_path, reading, hash};
  for (auto& tensor : *model->mutable_graph()->mutable_initializer())
    if (external(tensor)) beside.read(&tensor);
  for (auto& node : *model->mutable_graph()->mutable_node())
    for (auto& attribute : *node.mutable_attribute())
      if (attribute.has_t() && external(attribute.t())) beside.read(attribute.mutable_t());
  return beside.hash;
}

}  // namespace attune
