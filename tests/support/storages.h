#pragma once

#include <cstdint>

#include "graph/memory/storage.h"

namespace attune::test {

// Whether two storages at these offsets have a byte in common at a step when both are alive.
bool overlap(const Storage& a, int64_t at_a, const Storage& b, int64_t at_b);

}  // namespace attune::test
