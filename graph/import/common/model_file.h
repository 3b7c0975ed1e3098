#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace attune {

inline constexpr uint64_t kMaxModelBytes = std::numeric_limits<int32_t>::max();
inline constexpr const char* kTooLarge = "larger than 2 GB; save its tensors as external data";

// The bytes of a model's file. Throws Error where there is none to read, or more than `max_bytes`.
std::string read_model_file(const std::string& path, uint64_t max_bytes);

// "w.bin: 12 bytes, and at most 10 are read; --max-input-bytes allows more"
[[noreturn]] void throw_too_many_bytes(const std::string& path, uint64_t bytes, uint64_t max_bytes);

}  // namespace attune
