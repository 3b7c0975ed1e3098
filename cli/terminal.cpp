#include "cli/terminal.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace attune::cli {
namespace {

struct Range {
  uint32_t first, last;
};
constexpr Range kHarmful[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},                        // controls
    {0x61c, 0x61c},   {0x200e, 0x200f},                    // marks of direction
    {0x202a, 0x202e}, {0x2066, 0x2069}, {0x2028, 0x2029},  // separators of lines and paragraphs
    {0xad, 0xad},     {0x200b, 0x200b},                    // without width
    {0x2060, 0x2064}, {0x206a, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};
constexpr uint32_t kReplacement = 0xfffd;

bool is_harmful(uint32_t code) {
  return std::ranges::any_of(kHarmful, [&](Range r) { return code >= r.first && code <= r.last; });
}

// The code point at the front of `text`, and its bytes; {kReplacement, 1} where it is no UTF-8.
struct Decoded {
  uint32_t code;
  size_t bytes;
};
Decoded decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return {kReplacement, 1};
  uint32_t code = lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {kReplacement, 1};
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool is_long = code < (bytes == 3 ? 0x800u : bytes == 4 ? 0x10000u : 0u);
  if (is_long || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {kReplacement, 1};
  return {code, bytes};
}

// The text with `instead(code)` for what is harmful, but for `kept`.
template <class Instead>
std::string replaced(std::string_view text, char kept, const Instead& instead) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Decoded next = decode(text);
    const bool broken = next.bytes == 1 && next.code == kReplacement;
    if (text[0] == kept || (!broken && !is_harmful(next.code)))
      result += text.substr(0, next.bytes);
    else
      result += instead(next.code);
    text.remove_prefix(next.bytes);
  }
  return result;
}

}  // namespace

std::string harmless(std::string_view text) {
  return replaced(text, '\n', [](uint32_t) { return '?'; });
}

std::string shown(std::string_view text) {
  std::string line = harmless(text);
  std::ranges::replace(line, '\n', '?');
  return line;
}

std::string escaped_json(std::string_view json) {
  return replaced(json, '\n', [](uint32_t code) {
    if (code < 0x10000) return fmt::format("\\u{:04x}", code);
    code -= 0x10000;
    return fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
  });
}

void put(std::string_view text) { fmt::print(stdout, "{}", text); }

void put_note(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace attune::cli
