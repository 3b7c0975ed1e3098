#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace attune::cli {

// Everything that the command tells passes through here: names come from files, and a file may come
// from anywhere. Harmful is what a terminal obeys or hides instead of showing it: controls, marks
// of direction, separators of lines, characters without width, what is no UTF-8.

// The text with '?' for all that is harmful; lines stay lines.
std::string harmless(std::string_view text);
// The same in one line.
std::string shown(std::string_view text);
// JSON that means the same, with all that is harmful as \u escapes: it stands in strings only.
std::string escaped_json(std::string_view json);

// A result, to standard output. Throws std::system_error where that cannot be written.
void put(std::string_view text);
// A note or what is under way, to standard error, whether anyone reads it or not.
void put_note(std::string_view text);

template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  put(harmless(fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace attune::cli
