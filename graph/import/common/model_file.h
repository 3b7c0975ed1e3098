#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace attune {

inline constexpr uint64_t kMaxModelBytes = std::numeric_limits<int32_t>::max();
inline constexpr const char* kTooLarge = "larger than 2 GB; save its tensors as external data";

// The bytes of a model's file. Throws Error where there is none to read.
std::string read_model_file(const std::string& path);

}  // namespace attune
