#include "engine/platform/memory.h"

#include <cstddef>
#include <cstdint>

// There is none but the caller's.
namespace attune {

void* take_memory(size_t) { return nullptr; }
void give_memory(void*, size_t) {}
bool& memory_was_refused() {
  static bool refused = false;
  return refused;
}
size_t taken_bytes(size_t bytes) { return bytes; }
size_t file_stack_bytes() { return 0; }
size_t available_bytes() { return 0; }

}  // namespace attune
