#pragma once

#include <cstddef>
#include <string_view>

namespace attune {

// Whether a name is one that a pattern means: `*` is any text, `?` one character, `[8-11]` a whole
// number from 8 to 11, `{query,key}` either of these; all else is itself. Takes time as the product
// of their lengths, a 64th of it but for numbers: what reads patterns of a file takes none that is
// longer than kMostPatternBytes.
constexpr size_t kMostPatternBytes = 4096;
bool matches(std::string_view pattern, std::string_view name);

}  // namespace attune
