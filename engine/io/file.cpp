#include "engine/io/file.h"

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

namespace attune {
namespace fs = std::filesystem;

Status file_error(std::string_view path, const char* format, ...) {
  char text[560];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof(text), format, args);
  va_end(args);

  constexpr size_t kPathBytes = 160;
  const bool cut = path.size() > kPathBytes;
  if (cut) path.remove_prefix(path.size() - kPathBytes);
  char line[sizeof(text) + kPathBytes + 8];
  std::snprintf(line, sizeof(line), "%s%.*s: %s", cut ? "..." : "", static_cast<int>(path.size()),
                path.data(), text);
  for (char* c = line; *c != '\0'; ++c)
    if (static_cast<unsigned char>(*c) < 0x20 || *c == 0x7f) *c = '?';
  return Status::error("%s", line);
}

std::string shortened(std::string_view text) {
  constexpr size_t kMost = 80;
  if (text.size() <= kMost) return std::string(text);
  return std::string(text.substr(0, kMost - 3)) + "...";
}

std::string name_list(const std::vector<std::string>& names) {
  constexpr size_t kMostBytes = 160;
  std::string list;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = shortened(names[i]);
    if (i > 0 && list.size() + name.size() > kMostBytes)
      return list + ", ... (" + std::to_string(names.size()) + " in all)";
    if (i > 0) list += ", ";
    list += name;
  }
  return list;
}

Status check_regular_file(const std::string& path) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (status.type() == fs::file_type::not_found)
    return file_error(path, "no such file; check the path");
  if (failure) return file_error(path, "cannot be opened (%s)", failure.message().c_str());
  if (status.type() == fs::file_type::directory)
    return file_error(path, "is a folder; give a file");
  if (status.type() != fs::file_type::regular)
    return file_error(path, "is not a regular file; copy it to one");
  return Status::ok();
}

Status too_many_bytes(std::string_view path, uint64_t bytes, const ReadLimits& limits) {
  return file_error(path, "%llu bytes, and at most %llu are read; --max-input-bytes allows more",
                    static_cast<unsigned long long>(bytes),
                    static_cast<unsigned long long>(limits.input_bytes));
}

Status read_file(const std::string& path, const ReadLimits& limits, std::vector<std::byte>* bytes) {
  ATTUNE_RETURN_IF_ERROR(check_regular_file(path));
  std::error_code failure;
  const std::uintmax_t size = fs::file_size(path, failure);
  if (failure) return file_error(path, "cannot be read (%s)", failure.message().c_str());
  if (size > limits.input_bytes) return too_many_bytes(path, size, limits);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                       &std::fclose);
  if (!file) return file_error(path, "cannot be opened (%s)", std::strerror(errno));
  bytes->resize(size);
  if (std::fread(bytes->data(), 1, size, file.get()) != size)
    return file_error(path, "cannot be read to its end (%s)",
                      std::ferror(file.get()) ? std::strerror(errno) : "it changed meanwhile");
  return Status::ok();
}

std::string file_name_of(std::string_view path) { return fs::path(path).filename().string(); }

std::string extension_of(std::string_view path) {
  std::string extension = fs::path(path).extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension;
}

}  // namespace attune
