#include "cli/seed.h"

#include <charconv>
#include <cstdint>

namespace attune::cli {

CLI::Validator is_seed() {
  const auto check = [](const std::string& text) {
    uint64_t seed = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, seed);
    if (error == std::errc() && rest == end) return std::string();
    return text + " is no whole number in 0 .. 2^64 - 1";
  };
  return CLI::Validator(check, "");
}

}  // namespace attune::cli
