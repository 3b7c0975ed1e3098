#pragma once

#include <cstdint>

namespace attune {

// What a file may make a reader take. Checked before memory is taken: a small file may ask for any
// amount, by what it claims or by what it unpacks to.
struct ReadLimits {
  int64_t pixels = int64_t{1} << 26;         // of a picture
  uint64_t input_bytes = uint64_t{2} << 30;  // of a file, and of what it becomes
};

}  // namespace attune
