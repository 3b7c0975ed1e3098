#pragma once

#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "attune/status.h"
#include "attune/read_limits.h"

namespace attune {

// The error "path: text" in one line: control characters become '?', a long path keeps its end.
// Cut, as all of Status, at its length.
__attribute__((format(printf, 2, 3))) Status file_error(std::string_view path, const char* format,
                                                        ...);

// For text from a file (a label, a name) inside a message: at most 80 bytes of it.
std::string shortened(std::string_view text);

// The names, comma-separated; when there are many, the first ones and how many there are.
std::string name_list(const std::vector<std::string>& names);

// Reads a whole regular file (or a symlink to one) of at most limits.input_bytes.
Status read_file(const std::string& path, const ReadLimits& limits, std::vector<std::byte>* bytes);
// The error that a file, or what it becomes, is larger than the limits allow.
Status too_many_bytes(std::string_view path, uint64_t bytes, const ReadLimits& limits);

// An error unless `path` is a regular file or a symlink to one: pipes and devices might block.
Status check_regular_file(const std::string& path);

// The extension in lower case, with its dot: ".jpg"; empty where there is none.
std::string extension_of(std::string_view path);
std::string file_name_of(std::string_view path);

// Runs `body`, which returns a Status, and turns what it throws into one.
template <class Body>
Status guarded(std::string_view path, const Body& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return file_error(path, "out of memory; use fewer or smaller examples");
  } catch (const std::exception& error) {
    return file_error(path, "cannot be read (%s)", error.what());
  }
}

}  // namespace attune
