#include "engine/platform/error_text.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace attune {
namespace {

char out_of_memory[] = "out of memory, even for the text of an error";

}  // namespace

char* make_error_text(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  const size_t bytes = length < 0 ? 1 : static_cast<size_t>(length) + 1;
  auto* text = static_cast<char*>(std::malloc(bytes));
  if (text && length >= 0) std::vsnprintf(text, bytes, format, again);
  if (text && length < 0) text[0] = '\0';
  va_end(again);
  return text ? text : out_of_memory;
}

char* copy_error_text(const char* text) {
  const size_t bytes = std::strlen(text) + 1;
  auto* copy = static_cast<char*>(std::malloc(bytes));
  return copy ? static_cast<char*>(std::memcpy(copy, text, bytes)) : out_of_memory;
}

void release_error_text(char* text) {
  if (text != out_of_memory) std::free(text);
}

void write_text(char* to, size_t bytes, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(to, bytes, format, arguments);
  va_end(arguments);
}

}  // namespace attune
