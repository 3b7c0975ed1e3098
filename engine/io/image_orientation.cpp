#include <algorithm>
#include <utility>

#include "engine/io/bytes.h"
#include "engine/io/image_formats.h"

namespace attune {

int exif_orientation(std::span<const std::byte> exif) {
  using namespace std::string_view_literals;
  if (has_text(exif, 0, "Exif\0\0"sv)) exif = exif.subspan(6);
  const bool big = has_text(exif, 0, "MM\0*"sv);
  if (!big && !has_text(exif, 0, "II*\0"sv)) return 1;
  const auto u16 = [&](size_t at) {
    return big ? static_cast<uint16_t>(u8_at(exif, at) << 8 | u8_at(exif, at + 1))
               : little_endian_u16(exif, at);
  };
  if (exif.size() < 8) return 1;
  const size_t directory = big ? big_endian_u32(exif, 4) : little_endian_u32(exif, 4);
  if (exif.size() < 2 || directory > exif.size() - 2) return 1;
  const size_t entries = std::min<size_t>(u16(directory), (exif.size() - directory - 2) / 12);
  constexpr uint16_t kOrientation = 0x0112, kShort = 3, kLong = 4;
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + 12 * i;
    const int type = u16(at + 2);
    if (u16(at) != kOrientation || (type != kShort && type != kLong)) continue;
    const int value = u16(at + (big && type == kLong ? 10 : 8));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

namespace {

// Fills `out`, whose pixel (x, y) is at in + x * across + y * down pixels.
template <int kChannels>
void turn(const uint8_t* in, ptrdiff_t across, ptrdiff_t down, Image* out) {
  const int32_t width = out->width, height = out->height;
  uint8_t* const pixels = out->pixels.data();
  // By strips of rows, in which both pictures stay within the cache.
  constexpr int32_t kStrip = 64;
  for (int32_t top = 0; top < height; top += kStrip) {
    const int32_t bottom = std::min(top + kStrip, height);
    for (int32_t x = 0; x < width; ++x) {
      ptrdiff_t from = (x * across + top * down) * kChannels;
      size_t to = (size_t{1} * top * width + x) * kChannels;
      for (int32_t y = top; y < bottom; ++y) {
        for (int c = 0; c < kChannels; ++c) pixels[to + c] = in[from + c];
        from += down * kChannels, to += size_t{kChannels} * width;
      }
    }
  }
}

}  // namespace

void apply_orientation(int orientation, Image* image) {
  if (orientation <= 1 || orientation > 8) return;
  const bool swap = orientation >= 5;
  const bool mirror = orientation == 2 || orientation == 3 || orientation >= 7;
  const bool upside_down =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image turned{image->width, image->height, image->channels, {}};
  if (swap) std::swap(turned.width, turned.height);
  turned.pixels.resize(image->pixels.size());
  // Steps in the stored picture for one to the right and one down in it, from the corner that comes
  // first.
  ptrdiff_t right = 1, below = image->width, first = 0;
  if (mirror) first += image->width - 1, right = -right;
  if (upside_down) first += below * (image->height - 1), below = -below;
  if (swap) std::swap(right, below);
  const auto turn_channels = image->channels == 1   ? turn<1>
                             : image->channels == 2 ? turn<2>
                             : image->channels == 3 ? turn<3>
                                                    : turn<4>;
  turn_channels(image->pixels.data() + first * image->channels, right, below, &turned);
  *image = std::move(turned);
}

}  // namespace attune
