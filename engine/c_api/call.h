#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "attune/attune.h"
#include "attune/status.h"
#include "engine/platform/memory.h"

// What every function of attune.h does: errors into the caller's text, structures of older and
// newer headers.
namespace attune::c_api {

attune_status succeed(attune_error* error);
__attribute__((format(printf, 3, 4))) attune_status fail(attune_error* error, attune_status status,
                                                         const char* format, ...);
// `kind`, and the status's text, where that is an error.
attune_status told(attune_error* error, const Status& status, attune_status kind);

// Around what may run out of memory, which is ATTUNE_ERROR_MEMORY whatever else could go wrong.
class MemoryWatch {
 public:
  MemoryWatch() { memory_was_refused() = false; }
  attune_status kind(attune_status otherwise) const {
    return memory_was_refused() ? attune_status{ATTUNE_ERROR_MEMORY} : otherwise;
  }
  template <class Call>
  static attune_status told(attune_error* error, attune_status otherwise, Call&& call) {
    const MemoryWatch watch;
    const Status status = call();
    return c_api::told(error, status, watch.kind(otherwise));
  }
};

// That a pointer is there: "attune_plan_load: path is NULL".
#define ATTUNE_C_NEED(function_name, argument)                                                 \
  if (!(argument))                                                                             \
  return ::attune::c_api::fail(error, ATTUNE_ERROR_ARGUMENT, "%s: %s is NULL", #function_name, \
                               #argument)

#define ATTUNE_C_RETURN_IF_ERROR(expression) \
  if (const attune_status status_ = (expression); status_ != ATTUNE_OK) return status_

// Copies a structure that the caller filled into our own, `bytes` long, which is zeros: `given` may
// be shorter, or longer where the rest is zeros. `name` is its type's.
attune_status read_struct(const void* given, void* own, size_t bytes, const char* name,
                          attune_error* error);
// Whether `given`, for the library to fill, states a size: at least its own.
attune_status check_struct(const void* given, const char* name, attune_error* error);
// Fills as much of `given` as there is room for, but for its size.
void write_struct(void* given, const void* own, size_t bytes);

// `given` may be NULL, which stands for zeros.
template <class T>
attune_status read(const T* given, T* own, const char* name, attune_error* error) {
  std::memset(own, 0, sizeof(T));
  if (!given) return ATTUNE_OK;
  ATTUNE_C_RETURN_IF_ERROR(read_struct(given, own, sizeof(T), name, error));
  own->size = sizeof(T);
  return ATTUNE_OK;
}

template <class T>
void write(T* given, const T& own) {
  write_struct(given, &own, sizeof(T));
}

// The bytes of the caller's memory.
inline std::span<std::byte> bytes_of(void* memory, size_t count) {
  return {static_cast<std::byte*>(memory), count};
}
inline std::span<const std::byte> bytes_of(const void* memory, size_t count) {
  return {static_cast<const std::byte*>(memory), count};
}

// A text of a plan, which ends with a NUL in the plan itself.
template <class Text>
const char* text_or_empty(const Text* text) {
  return text ? text->c_str() : "";
}

}  // namespace attune::c_api
