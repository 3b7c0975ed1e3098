#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/storage.h"

namespace attune::test {

// Whether storages can be placed in so many bytes, no two of their ranges sharing one at any time:
// an exhaustive search. Of every two that meet it decides which gap between the ranges of one the
// other one lies in, and keeps the offsets that are still possible. Nothing, where more than
// `most_decisions` would be needed.
std::optional<bool> can_be_packed(const std::vector<const Storage*>& storages, int64_t bytes,
                                  int64_t most_decisions);

}  // namespace attune::test
