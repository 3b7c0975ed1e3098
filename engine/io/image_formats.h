#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "attune/status.h"
#include "engine/io/image.h"

namespace attune {

// A decoded picture, still as it lies in its file. `orientation` is EXIF's: 1 .. 8, 1 upright.
struct StoredImage {
  int64_t max_pixels;
  Image image;
  int orientation;
};

// One decoder a format, in a file of its own that is built where its library is installed. Colours
// are what Pillow's convert("RGB") gives. A file that is cut short or has an impossible size is an
// error; a library's own errors do not leave its file.
Status decode_jpeg(std::string_view path, std::span<const std::byte> file, StoredImage* stored);
Status decode_png(std::string_view path, std::span<const std::byte> file, StoredImage* stored);
Status decode_webp(std::string_view path, std::span<const std::byte> file, StoredImage* stored);
Status decode_tiff(std::string_view path, std::span<const std::byte> file, StoredImage* stored);
Status decode_gif(std::string_view path, std::span<const std::byte> file, StoredImage* stored);
Status decode_bmp(std::string_view path, std::span<const std::byte> file, StoredImage* stored);
Status decode_pnm(std::string_view path, std::span<const std::byte> file, StoredImage* stored);

// What decoders share.
Status image_cut_short(std::string_view path);
Status image_not_decoded(std::string_view path, const char* reason);
// Makes room for the pixels; an error where there would be none, or more than stored->max_pixels.
Status size_image(std::string_view path, int64_t width, int64_t height, int32_t channels,
                  StoredImage* stored);
// An error where so few bytes cannot hold the pixels: nothing is allocated for them then.
Status check_image_bytes(std::string_view path, int64_t width, int64_t height, size_t bytes,
                         int64_t most_pixels_per_byte);

// The orientation that EXIF data (a TIFF file, perhaps behind "Exif\0\0") tell; 1 where they do
// not.
int exif_orientation(std::span<const std::byte> exif);
// Turns the pixels upright.
void apply_orientation(int orientation, Image* image);

}  // namespace attune
