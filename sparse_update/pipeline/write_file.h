#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace attune {

// Writes a file by way of a temporary one beside it, so that `path` is never half written; into a
// pipe, a device or an open descriptor (/dev/stdout, /dev/fd/3) as it comes. Throws Error.
void write_file(const std::string& path, std::span<const std::byte> bytes);

// Throws Error where that would fail for want of rights, before anything is worked out.
void check_can_be_written(const std::string& path);

// Whether `path` is such a pipe, device or descriptor.
bool is_written_through(const std::string& path);

}  // namespace attune
