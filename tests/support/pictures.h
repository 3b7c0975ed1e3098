#pragma once

#include <cstdint>
#include <span>

namespace attune::test {

// A small file of a picture.
struct Picture {
  const char* name;
  int width, height;
  uint32_t sum;  // CRC-32 of what Pillow's exif_transpose and convert("RGB") give
  const char* hex;
};

// Of every format, written and read by Pillow 9.4, or made by hand where it writes none of the
// kind.
std::span<const Picture> pictures();

}  // namespace attune::test
