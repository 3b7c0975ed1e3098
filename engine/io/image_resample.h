#pragma once

#include <cstdint>
#include <span>

#include "attune/preprocess.h"
#include "engine/io/image.h"

namespace attune {

// One axis of what is made: `count` pixels from `first` on, of `in` pixels resized to `resized`.
struct ResizedAxis {
  int32_t in = 0;
  int64_t resized = 0, first = 0;
  int32_t count = 0;
};

// Resizes as Pillow's Image.resize does, to the bit: the filter is as wide as what it shrinks to
// one pixel, columns come before rows, and both round to bytes. `out` is [rows, columns, channels];
// 1 or 3 channels of an image that has as many, besides alpha, or grey from colour (Pillow's "L").
void resample(const ImageView& image, Interpolation interpolation, const ResizedAxis& columns,
              const ResizedAxis& rows, int32_t channels, std::span<uint8_t> out);

}  // namespace attune
