#include <cstddef>
#include <new>

// Destructors of classes with virtual functions refer to these, whoever never calls them.
__attribute__((weak)) void operator delete(void*) noexcept {}
__attribute__((weak)) void operator delete(void*, size_t) noexcept {}
__attribute__((weak)) void operator delete(void*, std::align_val_t) noexcept {}
__attribute__((weak)) void operator delete(void*, size_t, std::align_val_t) noexcept {}
