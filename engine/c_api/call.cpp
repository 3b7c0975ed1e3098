#include "engine/c_api/call.h"

#include <cstdarg>

#include "engine/platform/error_text.h"

namespace attune::c_api {
namespace {

// No structure comes near: a size beyond it was never set.
constexpr size_t kMostBytes = 4096;

size_t size_of(const void* given) {
  size_t size = 0;
  std::memcpy(&size, given, sizeof(size));
  return size;
}

}  // namespace

attune_status succeed(attune_error* error) {
  if (error) {
    error->status = ATTUNE_OK;
    error->message[0] = '\0';
  }
  return ATTUNE_OK;
}

attune_status fail(attune_error* error, attune_status status, const char* format, ...) {
  if (error) {
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    // As a Status makes its text: not every system has a printf.
    char* const text = make_error_text(format, arguments);
    write_text(error->message, sizeof(error->message), "%s", text);
    release_error_text(text);
    va_end(arguments);
  }
  return status;
}

attune_status told(attune_error* error, const Status& status, attune_status kind) {
  return status ? succeed(error) : fail(error, kind, "%s", status.message());
}

attune_status check_struct(const void* given, const char* name, attune_error* error) {
  const size_t size = size_of(given);
  if (size >= sizeof(size) && size <= kMostBytes) return ATTUNE_OK;
  return fail(error, ATTUNE_ERROR_ARGUMENT, "%s: its size is %zu; set it to sizeof(%s)", name, size,
              name);
}

attune_status read_struct(const void* given, void* own, size_t bytes, const char* name,
                          attune_error* error) {
  ATTUNE_C_RETURN_IF_ERROR(check_struct(given, name, error));
  const size_t size = size_of(given);
  const auto* from = static_cast<const unsigned char*>(given);
  for (size_t i = bytes; i < size; ++i)
    if (from[i] != 0)
      return fail(
          error, ATTUNE_ERROR_ARGUMENT,
          "%s: it is of a newer header, with a field at byte %zu that this library does not "
          "know; leave that 0, or use a newer library",
          name, i);
  std::memcpy(own, given, size < bytes ? size : bytes);
  return ATTUNE_OK;
}

void write_struct(void* given, const void* own, size_t bytes) {
  const size_t size = size_of(given);
  auto* to = static_cast<unsigned char*>(given);
  const auto* from = static_cast<const unsigned char*>(own);
  constexpr size_t kFirst = sizeof(size_t);
  const size_t known = size < bytes ? size : bytes;
  std::memcpy(to + kFirst, from + kFirst, known - kFirst);
  if (size > known) std::memset(to + known, 0, size - known);
}

}  // namespace attune::c_api
