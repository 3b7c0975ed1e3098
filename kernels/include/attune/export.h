#pragma once

// What a shared library shows; all else of it is hidden. attune.h says the same for C.
#if defined(__GNUC__) || defined(__clang__)
#define ATTUNE_API __attribute__((visibility("default")))
#else
#define ATTUNE_API
#endif
