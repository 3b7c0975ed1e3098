#pragma once

#include <string_view>

namespace attune {

// Whether a name is one that a pattern means: `*` is any text, `?` one character, `[8-11]` a whole
// number from 8 to 11, `{query,key}` either of these; all else is itself.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace attune
