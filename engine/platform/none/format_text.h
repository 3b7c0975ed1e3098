#pragma once

#include <cstdarg>
#include <cstddef>

namespace attune {

// vsnprintf for what our messages hold: %s %c %d %u %x %g %%, with l, ll, z and a precision. Small
// C libraries (newlib's nano) lack some of these, pass over their argument, and take it for the
// next one's, a pointer maybe. What is none of these ends the text.
void format_text(char* to, size_t bytes, const char* format, va_list arguments);

}  // namespace attune
