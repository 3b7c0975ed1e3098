#include <zlib.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/io/bytes.h"
#include "engine/io/file.h"
#include "engine/io/image.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_MAX_DIMENSIONS (1 << 20)
// stb_image before 2.28 reads Huffman tables that a damaged JPEG never defined: these are zeros
// then, codes of no length. What it asserts does not hold for every file, and nothing rests on it.
#define STBI_MALLOC(size) std::calloc(1, size)
#define STBI_REALLOC(data, size) std::realloc(data, size)
#define STBI_FREE(data) std::free(data)
#define STBI_ASSERT(condition) static_cast<void>(condition)
#include <stb/stb_image.h>

namespace attune {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 27;
constexpr int64_t kMaxPixelsPerByte = 8 * int64_t{kMaxInflation};
// A block of 64 pixels takes a bit at least.
constexpr int64_t kMaxJpegPixelsPerByte = 8 * 64;
constexpr int kMaxScans = 64;  // a progressive picture has about ten
constexpr const char* kCutShort = "the image is cut short; copy it again";

// The decoder takes what is missing for zeros and checks no sums, so completeness is checked here.

Status check_png(std::string_view path, std::span<const std::byte> file) {
  size_t at = 8;
  while (true) {
    if (file.size() - at < 12) return file_error(path, "%s", kCutShort);
    const uint32_t length = big_endian_u32(file, at);
    if (length > file.size() - at - 12) return file_error(path, "%s", kCutShort);
    const auto* type = reinterpret_cast<const Bytef*>(file.data() + at + 4);
    if (crc32_z(0, type, size_t{length} + 4) != big_endian_u32(file, at + 8 + length))
      return file_error(path, "the PNG is damaged at byte %zu (wrong checksum); copy it again", at);
    if (std::memcmp(type, "IEND", 4) == 0) return Status::ok();
    at += size_t{length} + 12;
  }
}

// Checks the Huffman tables whose segment has its length at `at`: stb_image before 2.28 writes
// beyond its tables where the counts of one add up to more than 256.
bool valid_huffman_tables(std::span<const std::byte> file, size_t at) {
  if (file.size() - at < 2) return false;
  int64_t left = (int64_t{u8_at(file, at)} << 8 | u8_at(file, at + 1)) - 2;
  at += 2;
  while (left > 0) {
    if (file.size() - at < 17) return false;
    size_t symbols = 0;
    for (size_t i = 1; i <= 16; ++i) symbols += u8_at(file, at + i);
    if (symbols > 256 || file.size() - at - 17 < symbols) return false;
    at += 17 + symbols;
    left -= static_cast<int64_t>(17 + symbols);
  }
  return left == 0;
}

constexpr uint8_t kHuffmanTables = 0xc4, kStartOfScan = 0xda, kEndOfImage = 0xd9;

// Whether a byte after 0xff makes a marker that a segment follows, or the end: coded data may hold
// the others.
bool begins_segment(uint8_t marker) {
  const bool restart = marker >= 0xd0 && marker <= 0xd7, temporary = marker == 0x01;
  return marker != 0 && marker != 0xff && !restart && !temporary;
}

// Behind the end marker, from the first scan's segment on; 0 where there is none. What cameras
// write after the picture does not belong to it.
size_t jpeg_end(std::span<const std::byte> file, size_t at) {
  for (; at + 1 < file.size(); ++at) {
    if (u8_at(file, at) != 0xff || !begins_segment(u8_at(file, at + 1))) continue;
    if (u8_at(file, at + 1) == kEndOfImage) return at + 2;
    if (file.size() - at < 4) return 0;
    const size_t length = size_t{u8_at(file, at + 2)} << 8 | u8_at(file, at + 3);
    if (length > file.size() - at - 2) return 0;
    at += 1 + length;
  }
  return 0;
}

// Complete is a JPEG with an end marker after its first scan; one before belongs to a thumbnail.
// *whole ends there then.
Status check_jpeg(std::string_view path, std::span<const std::byte>* whole) {
  std::span<const std::byte> file = *whole;
  const auto damaged = [&](size_t at) {
    return file_error(path, "the JPEG is damaged at byte %zu; copy it again", at);
  };
  size_t at = 2, segment = 0;
  int most_scans = kMaxScans;
  uint8_t marker = 0;
  while (marker != kStartOfScan) {
    while (at + 1 < file.size() && u8_at(file, at) == 0xff && u8_at(file, at + 1) == 0xff) ++at;
    if (file.size() - at < 4) return file_error(path, "%s", kCutShort);
    marker = u8_at(file, at + 1);
    const size_t length = size_t{u8_at(file, at + 2)} << 8 | u8_at(file, at + 3);
    if (u8_at(file, at) != 0xff || length < 2) return damaged(at);
    if (marker == kHuffmanTables && !valid_huffman_tables(file, at + 2)) return damaged(at);
    if (length > file.size() - at - 2) return file_error(path, "%s", kCutShort);
    // Not progressive: a scan for each component, or one for all.
    if ((marker == 0xc0 || marker == 0xc1) && length >= 8) most_scans = u8_at(file, at + 9);
    segment = at;
    at += 2 + length;
  }
  const size_t end = jpeg_end(file, segment);
  if (end == 0) return file_error(path, "%s", kCutShort);
  *whole = file = file.first(end);
  // Coded data holds no marker by chance, so every one that looks like tables has to be that.
  int scans = 1;
  for (; at + 1 < file.size(); ++at) {
    if (u8_at(file, at) != 0xff) continue;
    const uint8_t next = u8_at(file, at + 1);
    // Each goes through the whole picture: a small file would keep the decoder busy for long.
    if (next == kStartOfScan && ++scans > most_scans)
      return file_error(path, "the JPEG has more than %d scans; convert it anew", most_scans);
    if (next == kHuffmanTables && !valid_huffman_tables(file, at + 2)) return damaged(at);
  }
  return Status::ok();
}

Status check_bmp(std::string_view path, std::span<const std::byte> file) {
  if (file.size() < 26) return file_error(path, "%s", kCutShort);
  const uint64_t data = little_endian_u32(file, 10);
  const uint32_t header = little_endian_u32(file, 14);
  uint64_t width, height, bits;
  if (header == 12) {  // OS/2
    width = little_endian_u16(file, 18);
    height = little_endian_u16(file, 20);
    bits = little_endian_u16(file, 24);
  } else {
    if (file.size() < 54) return file_error(path, "%s", kCutShort);
    const int64_t signed_width = static_cast<int32_t>(little_endian_u32(file, 18));
    const int64_t signed_height = static_cast<int32_t>(little_endian_u32(file, 22));
    if (signed_width <= 0 || signed_height == 0)
      return file_error(path, "the BMP is damaged (size %lld x %lld); convert it anew",
                        static_cast<long long>(signed_width),
                        static_cast<long long>(signed_height));
    width = static_cast<uint64_t>(signed_width);
    height = static_cast<uint64_t>(signed_height < 0 ? -signed_height : signed_height);
    bits = little_endian_u16(file, 28);
  }
  const uint64_t row_bytes = (width * bits + 31) / 32 * 4;
  if (data > file.size() || (height > 0 && row_bytes > (file.size() - data) / height))
    return file_error(path, "%s", kCutShort);
  return Status::ok();
}

}  // namespace

Status decode_image(std::string_view path, std::span<const std::byte> file, Image* image) {
  int64_t max_pixels_per_byte = kMaxPixelsPerByte;
  if (has_text(file, 0, "\x89PNG\r\n\x1a\n")) {
    ATTUNE_RETURN_IF_ERROR(check_png(path, file));
  } else if (has_text(file, 0, "\xff\xd8\xff")) {
    ATTUNE_RETURN_IF_ERROR(check_jpeg(path, &file));
    max_pixels_per_byte = kMaxJpegPixelsPerByte;
  } else if (has_text(file, 0, "BM")) {
    ATTUNE_RETURN_IF_ERROR(check_bmp(path, file));
  } else {
    return file_error(path, "not a PNG, JPEG or BMP image; convert it to one of them");
  }
  if (file.size() > INT_MAX)
    return file_error(path, "the image file is larger than 2 GiB; convert it to a smaller one");

  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  const int length = static_cast<int>(file.size());
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(bytes, length, &width, &height, &channels))
    return file_error(path, "cannot be decoded (%s); convert it to an ordinary PNG",
                      stbi_failure_reason());
  if (width < 1 || height < 1 || int64_t{width} * height > kMaxPixels)
    return file_error(path, "%d x %d pixels; give an image of at most %lld pixels", width, height,
                      static_cast<long long>(kMaxPixels));
  if (int64_t{width} * height > max_pixels_per_byte * length)
    return file_error(path, "%d x %d pixels in %d bytes: %s", width, height, length, kCutShort);
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(bytes, length, &width, &height, &channels, 0), &stbi_image_free);
  if (!pixels)
    return file_error(path, "cannot be decoded (%s); convert it to an ordinary PNG",
                      stbi_failure_reason());
  image->width = width;
  image->height = height;
  image->channels = channels;
  image->pixels.assign(pixels.get(), pixels.get() + size_t{1} * width * height * channels);
  return Status::ok();
}

}  // namespace attune
