#pragma once

#include <cstdarg>
#include <cstddef>

namespace attune {

// The text of a Status. Never null; `release_error_text` takes what these gave.
char* make_error_text(const char* format, va_list arguments);
char* copy_error_text(const char* text);
void release_error_text(char* text);

// snprintf, for parts of such texts.
__attribute__((format(printf, 3, 4))) void write_text(char* to, size_t bytes, const char* format,
                                                      ...);

}  // namespace attune
