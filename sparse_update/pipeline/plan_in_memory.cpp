#include "sparse_update/pipeline/plan_in_memory.h"

#include <cstring>
#include <new>

#include "graph/ir/error.h"

namespace attune {

PlanInMemory::PlanInMemory(std::span<const std::byte> bytes, const std::string& name) {
  const size_t room =
      (bytes.size() + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
  bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(kSegmentAlignment, room)));
  if (!bytes_) throw std::bad_alloc();
  std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  throw_if_error(Plan::from_memory({bytes_.get(), bytes.size()}, name.c_str(), &plan_));
}

}  // namespace attune
