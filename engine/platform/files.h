#pragma once

#include <cstddef>
#include <span>

#include "attune/status.h"

namespace attune {

// Maps a whole file for reading, at a multiple of the page. Fails where it is not a regular file,
// or empty. `what` names it in messages: "the plan".
Status map_file(const char* path, const char* what, std::span<const std::byte>* bytes);
void unmap_file(std::span<const std::byte> bytes);

}  // namespace attune
