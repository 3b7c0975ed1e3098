#pragma once

#include <cstddef>

namespace attune {

// Memory of the system's, zeroed and aligned to 64 bytes; null where there is none. All but small
// blocks are pages of their own, so that what they take is known whatever the heap does; large ones
// lie on pages of 2 MiB where the system has them: a training step walks through all of it, and
// would wait for the translation of small pages' addresses.
void* take_memory(size_t bytes);
void give_memory(void* memory, size_t bytes);
// Whether this thread has asked for memory in vain, the system or an allocator, since somebody set
// this to false.
bool& memory_was_refused();
// What the system gives for a block of so many bytes: whole pages, or the heap's.
size_t taken_bytes(size_t bytes);
// The most of its stack that a thread uses to save or load a checkpoint by a path; 0: there are
// none.
size_t file_stack_bytes();
// What programs may still take without others being swapped out; SIZE_MAX: unknown.
size_t available_bytes();

}  // namespace attune
