#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace attune::cli {

// A key as its file has it: hexadecimal digits in a line.
std::string hex_of(std::span<const std::byte> bytes);
// Throws Error where the file does not hold so many bytes.
std::vector<std::byte> read_key(const std::string& path, size_t bytes);

}  // namespace attune::cli
