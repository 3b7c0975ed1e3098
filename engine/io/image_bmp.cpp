#include <algorithm>
#include <bit>
#include <vector>

#include "engine/io/bytes.h"
#include "engine/io/file.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

enum Compression : uint32_t { kNone = 0, kRuns8 = 1, kRuns4 = 2, kMasks = 3, kAlphaMasks = 6 };

struct BmpHeader {
  int64_t width = 0, height = 0;
  bool top_down = false;
  uint32_t bits = 0, compression = kNone;
  uint32_t masks[3] = {};
  size_t pixels = 0;  // where they begin
  uint8_t palette[256][3];
};

// The part of a pixel under a mask, as 0 .. 255.
uint8_t masked(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const uint64_t most = mask >> shift;
  return static_cast<uint8_t>(uint64_t{(pixel & mask) >> shift} * 255 / most);
}

Status read_header(std::string_view path, std::span<const std::byte> file, BmpHeader* header) {
  if (file.size() < 26) return image_cut_short(path);
  const size_t size = little_endian_u32(file, 14);
  const bool old = size == 12;  // OS/2
  if (!old && (size < 40 || size > 256)) return image_not_decoded(path, "an unknown header");
  if (file.size() < 14 + size) return image_cut_short(path);
  uint32_t colours = 0;
  header->pixels = little_endian_u32(file, 10);
  if (old) {
    header->width = little_endian_u16(file, 18), header->height = little_endian_u16(file, 20);
    header->bits = little_endian_u16(file, 24);
  } else {
    header->width = static_cast<int32_t>(little_endian_u32(file, 18));
    header->height = static_cast<int32_t>(little_endian_u32(file, 22));
    header->bits = little_endian_u16(file, 28);
    header->compression = little_endian_u32(file, 30);
    colours = little_endian_u32(file, 46);
  }
  header->top_down = header->height < 0;
  if (header->top_down) header->height = -header->height;
  const uint32_t bits = header->bits, how = header->compression;
  const bool known =
      how == kNone ? bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32
      : how == kRuns8 ? bits == 8
      : how == kRuns4 ? bits == 4
                      : (how == kMasks || how == kAlphaMasks) && (bits == 16 || bits == 32);
  if (!known) return image_not_decoded(path, "an unknown kind of BMP");

  size_t at = 14 + size;
  if (bits == 16) header->masks[0] = 0x7c00, header->masks[1] = 0x3e0, header->masks[2] = 0x1f;
  if (bits == 32) header->masks[0] = 0xff0000, header->masks[1] = 0xff00, header->masks[2] = 0xff;
  if (how == kMasks || how == kAlphaMasks) {
    if (file.size() < 66) return image_cut_short(path);
    for (size_t c = 0; c < 3; ++c) header->masks[c] = little_endian_u32(file, 54 + 4 * c);
    if (size == 40) at += how == kMasks ? 12 : 16;
  }
  for (int i = 0; i < 256; ++i) std::fill_n(header->palette[i], 3, static_cast<uint8_t>(i));
  if (bits <= 8) {
    const size_t count = std::min(colours == 0 ? 1u << bits : colours, 1u << bits);
    const size_t stride = old ? 3 : 4;
    if (at > file.size() || count * stride > file.size() - at) return image_cut_short(path);
    for (size_t i = 0; i < count; ++i)
      for (size_t c = 0; c < 3; ++c) header->palette[i][c] = u8_at(file, at + i * stride + 2 - c);
  }
  return header->pixels > file.size() ? image_cut_short(path) : Status::ok();
}

// Run-length coded indices, in rows from the bottom; what is passed over is 0. False where the data
// end before their end mark and the picture's end.
bool read_runs(std::span<const std::byte> data, const BmpHeader& header,
               std::vector<uint8_t>* indices) {
  const bool nibbles = header.compression == kRuns4;
  int64_t x = 0, y = 0;
  const auto put = [&](uint32_t index) {
    if (x < header.width && y < header.height)
      (*indices)[static_cast<size_t>(y * header.width + x)] = static_cast<uint8_t>(index);
    ++x;
  };
  const auto nibble = [&](uint32_t byte, uint32_t i) {
    return !nibbles ? byte : i % 2 == 0 ? byte >> 4 : byte & 15;
  };
  for (size_t at = 0; y < header.height; at += 2) {
    if (data.size() - at < 2) return x >= header.width && y == header.height - 1;
    const uint32_t count = u8_at(data, at), value = u8_at(data, at + 1);
    if (count > 0) {
      for (uint32_t i = 0; i < count; ++i) put(nibble(value, i));
    } else if (value == 0) {
      x = 0, ++y;
    } else if (value == 1) {
      return true;
    } else if (value == 2) {
      if (data.size() - at < 4) return false;
      x += u8_at(data, at + 2), y += u8_at(data, at + 3);
      at += 2;
    } else {
      const size_t bytes = nibbles ? (value + 1) / 2 : value;
      if (data.size() - at - 2 < bytes) return false;
      for (uint32_t i = 0; i < value; ++i)
        put(nibble(u8_at(data, at + 2 + (nibbles ? i / 2 : i)), i));
      at += std::min((bytes + 1) / 2 * 2, data.size() - at - 2);
    }
  }
  return true;
}

}  // namespace

Status decode_bmp(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  BmpHeader header;
  ATTUNE_RETURN_IF_ERROR(read_header(path, file, &header));
  const std::span<const std::byte> data = file.subspan(header.pixels);
  const bool runs = header.compression == kRuns8 || header.compression == kRuns4;
  const int64_t row_bytes = (header.width * header.bits + 31) / 32 * 4;
  if (!runs && header.width > 0 && header.height > 0 &&
      row_bytes > static_cast<int64_t>(data.size()) / header.height)
    return image_cut_short(path);
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(size_image(path, header.width, header.height, 3, stored));
  std::vector<uint8_t> indices;
  if (runs) {
    indices.resize(image.pixels.size() / 3);
    if (!read_runs(data, header, &indices)) return image_cut_short(path);
  }
  uint8_t* out = image.pixels.data();
  for (int64_t y = 0; y < header.height; ++y) {
    const auto row = static_cast<size_t>(header.top_down ? y : header.height - 1 - y);
    const size_t at = row * static_cast<size_t>(row_bytes);
    for (size_t x = 0; x < static_cast<size_t>(header.width); ++x, out += 3) {
      if (header.bits <= 8) {
        const size_t bit = x * header.bits;
        const uint8_t index = runs ? indices[row * static_cast<size_t>(header.width) + x]
                                   : u8_at(data, at + bit / 8) >> (8 - header.bits - bit % 8) &
                                         ((1 << header.bits) - 1);
        std::copy_n(header.palette[index], 3, out);
      } else if (header.bits == 24) {
        for (size_t c = 0; c < 3; ++c) out[c] = u8_at(data, at + 3 * x + 2 - c);
      } else {
        const uint32_t pixel = header.bits == 16 ? little_endian_u16(data, at + 2 * x)
                                                 : little_endian_u32(data, at + 4 * x);
        for (size_t c = 0; c < 3; ++c) out[c] = masked(pixel, header.masks[c]);
      }
    }
  }
  return Status::ok();
}

}  // namespace attune
