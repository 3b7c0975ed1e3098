// One target as libFuzzer calls it.
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::ATTUNE_FUZZ_TARGET({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
