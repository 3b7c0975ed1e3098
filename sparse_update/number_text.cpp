#include "sparse_update/number_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace attune {

std::string count_text(uint64_t count) { return fmt::format("{}", fmt::group_digits(count)); }

std::vector<int64_t> parse_sizes(std::string_view text, int64_t most) {
  std::vector<int64_t> sizes;
  for (;;) {
    const size_t end = std::min(text.find('x'), text.size());
    int64_t size = 0;
    if (!parse_number(text.substr(0, end), &size) || size < 1 || size > most) return {};
    sizes.push_back(size);
    if (end == text.size()) return sizes;
    text.remove_prefix(end + 1);
  }
}

}  // namespace attune
