#include <cstring>

#include "attune/attune.h"
#include "attune/backend.h"
#include "attune/plan.h"
#include "engine/platform/error_text.h"

using namespace attune;

namespace {

// "plan format 2; backends reference simd"
struct Build {
  char text[96];
  Build() {
    write_text(text, sizeof(text), "plan format %u; backends", static_cast<unsigned>(kPlanMajor));
    for (int b = 0; b < kBackendCount; ++b)
      if (const auto backend = static_cast<Backend>(b); backend_available(backend)) {
        const size_t used = std::strlen(text);
        write_text(text + used, sizeof(text) - used, " %s", backend_name(backend));
      }
  }
};

}  // namespace

uint32_t attune_abi_version(void) { return ATTUNE_ABI_VERSION; }

const char* attune_version(void) { return ATTUNE_VERSION; }

const char* attune_build(void) {
  static const Build build;
  return build.text;
}
