#include "engine/platform/files.h"

namespace attune {

Status map_file(const char* path, const char* what, std::span<const std::byte>*) {
  return Status::error("%s: there are no files on this device; give %s in memory", path, what);
}

void unmap_file(std::span<const std::byte>) {}

}  // namespace attune
