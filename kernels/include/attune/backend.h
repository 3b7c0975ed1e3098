#pragma once

#include <cstdint>

namespace attune {

// Families of kernels. Ids are part of the plan format: append only.
enum class Backend : uint8_t { reference = 0, eigen = 1, xnnpack = 2, simd = 3 };
inline constexpr int kBackendCount = 4;
constexpr const char* backend_name(Backend backend) {
  constexpr const char* kNames[] = {"reference", "eigen", "xnnpack", "simd"};
  return kNames[static_cast<int>(backend)];
}
// Whether this build has it, and the processor can run it.
bool backend_available(Backend backend);

// Which kernels run a step: the named backend where it has the operator, else the next one of
// xnnpack, simd, eigen, reference. `best` chooses by what is measured to be fastest.
enum class BackendChoice : uint8_t { best, reference, eigen, xnnpack, simd };

}  // namespace attune
