#include "engine/c_api/home.h"

#include "attune/plan.h"
#include "engine/platform/memory.h"

namespace attune::c_api {

attune_status read_allocator(const attune_allocator* given, attune_allocator* own,
                             attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(read(given, own, "attune_allocator", error));
  if (given && (!own->allocate || !own->release))
    return fail(error, ATTUNE_ERROR_ARGUMENT, "attune_allocator: allocate or release is NULL");
  return ATTUNE_OK;
}

attune_status find_home(const Offer& offer, size_t bytes, const char* what, Home* home,
                        attune_error* error) {
  constexpr size_t kAlignment = kTensorAlignment;
  const size_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = offer.memory;
  if (memory) {
    if (reinterpret_cast<uintptr_t>(memory) % kAlignment != 0)
      return fail(error, ATTUNE_ERROR_MEMORY, "%s: the memory is not aligned to %zu", what,
                  kAlignment);
    if (offer.memory_bytes < bytes)
      return fail(error, ATTUNE_ERROR_MEMORY, "%s needs at least %zu bytes, and was given %zu",
                  what, bytes, offer.memory_bytes);
  } else {
    memory = offer.allocator.allocate
                 ? offer.allocator.allocate(offer.allocator.context, whole, kAlignment)
                 : take_memory(whole);
    if (!memory)
      return fail(error, ATTUNE_ERROR_MEMORY, "%s: cannot allocate %zu bytes", what, whole);
    if (reinterpret_cast<uintptr_t>(memory) % kAlignment != 0) {
      offer.allocator.release(offer.allocator.context, memory, whole);
      return fail(error, ATTUNE_ERROR_ARGUMENT,
                  "attune_allocator: gave memory that is not aligned to %zu", kAlignment);
    }
  }
  home->taken = !offer.memory;
  home->block = bytes_of(memory, offer.memory ? offer.memory_bytes : whole);
  home->allocator = offer.allocator;
  return ATTUNE_OK;
}

void give_back(const Home& home) {
  if (!home.taken) return;
  if (home.allocator.release)
    home.allocator.release(home.allocator.context, home.block.data(), home.block.size());
  else
    give_memory(home.block.data(), home.block.size());
}

}  // namespace attune::c_api
