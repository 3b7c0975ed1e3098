#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

// "12,345".
std::string count_text(uint64_t count);

// Whether the whole text is a number of this type, which `number` then is.
template <class T>
bool parse_number(std::string_view text, T* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// "1x3x224x224"; empty where the text is anything else, or a size is not in 1 .. `most`.
std::vector<int64_t> parse_sizes(std::string_view text, int64_t most);

}  // namespace attune
