// One target as libFuzzer calls it.
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::ATTUNE_FUZZ_TARGET({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}

// Where an Ogg's header is damaged, libsndfile 1.2 leaks this.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:vorbis_info_init"; }
