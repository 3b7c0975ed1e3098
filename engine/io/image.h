#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "attune/preprocess.h"
#include "attune/status.h"
#include "attune/read_limits.h"

namespace attune {

// Pixels in rows from the top, channels interleaved: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
struct ImageView {
  int32_t width = 0, height = 0, channels = 0;
  std::span<const uint8_t> pixels;
};

struct Image {
  int32_t width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;
  ImageView view() const { return {width, height, channels, pixels}; }
};

// Decodes a picture of at most limits.pixels, whose format its first bytes tell, and turns it
// upright as its EXIF data tell. `path` is for messages. A file that is cut short or, for PNG,
// damaged is an error.
Status decode_image(std::string_view path, std::span<const std::byte> file,
                    const ReadLimits& limits, Image* image);

// Extensions that pictures have, in lower case, with their dot.
std::vector<std::string_view> image_extensions();

// An error where `config` describes no image that can be made.
Status check_image_preprocess(const ImagePreprocess& config);

// Resizes, crops and converts `image` to `out`, bytes [height, width, channels] as `config` asks,
// as torchvision's Resize and CenterCrop do; alpha is ignored. `config` must have been checked.
void preprocess_image(const ImagePreprocess& config, const ImageView& image,
                      std::span<uint8_t> out);

}  // namespace attune
