#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/status.h"

namespace attune {

// One member of a zip archive, as its central directory describes it.
struct ZipEntry {
  std::string name;
  bool deflated = false;
  uint32_t crc = 0;
  uint64_t packed_bytes = 0, bytes = 0;
  uint64_t data_offset = 0;  // of the packed bytes in the file
};

// Lists the members of a zip archive (stored or deflated, zip64 or not). Every entry lies inside
// `file`, and all their packed bytes together are no more than it. `path` is for messages.
Status list_zip(std::string_view path, std::span<const std::byte> file,
                std::vector<ZipEntry>* entries);

// Unpacks one of the listed entries and checks its sum.
Status extract_zip(std::string_view path, std::span<const std::byte> file, const ZipEntry& entry,
                   std::vector<std::byte>* bytes);

}  // namespace attune
