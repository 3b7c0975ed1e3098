#include "cli/signature_keys.h"

#include <fstream>

#include "engine/io/file.h"
#include "graph/ir/error.h"

namespace attune::cli {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::vector<std::byte> read_key(const std::string& path, size_t bytes) {
  throw_if_error(check_regular_file(path));
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::vector<std::byte> key;
  for (size_t i = 0; i + 1 < line.size(); i += 2) {
    const int high = digit(line[i]), low = digit(line[i + 1]);
    if (high < 0 || low < 0) break;
    key.push_back(static_cast<std::byte>(high << 4 | low));
  }
  if (key.size() != bytes || line.size() != 2 * bytes)
    throw_error("{}: is no key of {} bytes; `attune sign --new-key` makes one", path, bytes);
  return key;
}

}  // namespace attune::cli
