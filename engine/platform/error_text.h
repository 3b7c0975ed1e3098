#pragma once

#include <cstdarg>

namespace attune {

// The text of a Status. Never null; `release_error_text` takes what these gave.
char* make_error_text(const char* format, va_list arguments);
char* copy_error_text(const char* text);
void release_error_text(char* text);

}  // namespace attune
