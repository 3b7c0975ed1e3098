#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "attune/plan.h"

namespace attune {

// A plan's bytes in aligned memory, verified as a device verifies them. Must outlive its sessions.
class PlanInMemory {
 public:
  // Copies `bytes`; `name` is used in messages. Throws Error where they are no good plan.
  PlanInMemory(std::span<const std::byte> bytes, const std::string& name);
  PlanInMemory(const PlanInMemory&) = delete;
  PlanInMemory& operator=(const PlanInMemory&) = delete;

  const Plan& plan() const { return plan_; }
  std::span<const std::byte> bytes() const { return {bytes_.get(), plan_.file_bytes()}; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte, Free> bytes_;
  Plan plan_;
};

}  // namespace attune
