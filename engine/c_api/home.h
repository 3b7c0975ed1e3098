#pragma once

#include <new>
#include <utility>

#include "attune/allocator.h"
#include "engine/c_api/call.h"

namespace attune::c_api {

// The memory that an object of ours lies in: a block of the caller's, or one that is given back
// when the object goes.
struct Home {
  std::span<std::byte> block;
  attune_allocator allocator = {};  // without `release`: the library's heap
  bool taken = false;
};

// What an options structure says of memory. `allocator` has been read already.
struct Offer {
  void* memory = nullptr;
  size_t memory_bytes = 0;
  attune_allocator allocator = {};
};

// Finds `bytes` bytes, aligned to 64. `what` needs them.
attune_status find_home(const Offer& offer, size_t bytes, const char* what, Home* home,
                        attune_error* error);
void give_back(const Home& home);

// Reads options' allocator, which must be whole.
attune_status read_allocator(const attune_allocator* given, attune_allocator* own,
                             attune_error* error);

// The caller's allocator, as the engine calls one; none where there is none.
inline Allocator engine_allocator(const Offer& offer) {
  return {offer.allocator.context, offer.allocator.allocate, offer.allocator.release};
}

// Ends an object that lies in its own `home`.
template <class T>
void destroy(T* object) {
  const Home home = object->home;
  object->~T();
  give_back(home);
}

}  // namespace attune::c_api
