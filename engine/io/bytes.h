#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace attune {

// Numbers in file headers, at any alignment. The caller has checked that they lie inside.
inline uint8_t u8_at(std::span<const std::byte> bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

inline uint16_t little_endian_u16(std::span<const std::byte> bytes, size_t at) {
  return static_cast<uint16_t>(u8_at(bytes, at) | u8_at(bytes, at + 1) << 8);
}

inline uint32_t little_endian_u32(std::span<const std::byte> bytes, size_t at) {
  return little_endian_u16(bytes, at) | uint32_t{little_endian_u16(bytes, at + 2)} << 16;
}

inline uint64_t little_endian_u64(std::span<const std::byte> bytes, size_t at) {
  return little_endian_u32(bytes, at) | uint64_t{little_endian_u32(bytes, at + 4)} << 32;
}

inline uint32_t big_endian_u32(std::span<const std::byte> bytes, size_t at) {
  return uint32_t{u8_at(bytes, at)} << 24 | uint32_t{u8_at(bytes, at + 1)} << 16 |
         uint32_t{u8_at(bytes, at + 2)} << 8 | uint32_t{u8_at(bytes, at + 3)};
}

// Whether `text` stands there.
inline bool has_text(std::span<const std::byte> bytes, size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

inline constexpr uint64_t kMaxInflation = 1032;  // bytes that deflate can make of one

}  // namespace attune
