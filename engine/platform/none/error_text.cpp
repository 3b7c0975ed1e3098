#include "engine/platform/error_text.h"

#include "engine/platform/none/format_text.h"

namespace attune {
namespace {

// Of the last error.
char last[256];

}  // namespace

char* make_error_text(const char* format, va_list arguments) {
  // What is told may be part of the last text, which must not be written over while it is read.
  char text[sizeof(last)];
  format_text(text, sizeof(text), format, arguments);
  for (size_t i = 0; i < sizeof(last); ++i) last[i] = text[i];
  return last;
}

char* copy_error_text(const char*) { return last; }

void release_error_text(char*) {}

void write_text(char* to, size_t bytes, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  format_text(to, bytes, format, arguments);
  va_end(arguments);
}

}  // namespace attune
