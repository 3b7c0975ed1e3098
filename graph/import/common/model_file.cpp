#include "graph/import/common/model_file.h"

#include <filesystem>
#include <fstream>

#include "graph/ir/error.h"

namespace attune {

void throw_too_many_bytes(const std::string& path, uint64_t bytes, uint64_t max_bytes) {
  throw_error("{}: {} bytes, and at most {} are read; --max-input-bytes allows more", path, bytes,
              max_bytes);
}

std::string read_model_file(const std::string& path, uint64_t max_bytes) {
  namespace fs = std::filesystem;
  std::error_code code;
  if (!fs::exists(path, code)) throw_error("{}: there is no such file", path);
  if (!fs::is_regular_file(path, code))
    throw_error("{}: is not a file; give an ONNX or TFLite model", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_error("{}: cannot open it", path);
  const uint64_t size = fs::file_size(path, code);
  if (code) throw_error("{}: cannot read it: {}", path, code.message());
  if (size > kMaxModelBytes) throw_error("{}: {}", path, kTooLarge);
  if (size > max_bytes) throw_too_many_bytes(path, size, max_bytes);
  std::string bytes(size, '\0');
  if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw_error("{}: cannot read it", path);
  return bytes;
}

}  // namespace attune
