#pragma once

#include <cstdint>
#include <string>

namespace attune {

// "12,345".
std::string count_text(uint64_t count);

}  // namespace attune
