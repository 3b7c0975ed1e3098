#include "engine/io/image_resample.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

namespace attune {
namespace {

// Weights are whole multiples of 2^-22: with a byte and the overshoot of bicubic they fit 32 bits.
constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

uint8_t rounded(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

double bilinear(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys' cubic convolution with a = -1/2.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// Which pixels, with which weights, make each output of an axis.
struct Taps {
  struct Window {
    int32_t begin = 0, end = 0;
    size_t weights = 0;  // where they begin
    bool holds(int32_t at) const { return begin <= at && at < end; }
  };
  std::vector<Window> windows;  // neither begins nor ends before the one before it
  std::vector<int32_t> weights;
};

Taps taps(const ResizedAxis& axis, Interpolation interpolation) {
  const auto filter = interpolation == Interpolation::bicubic ? bicubic : bilinear;
  const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.resized);
  const double filter_scale = std::max(scale, 1.0), inverse = 1 / filter_scale;
  const double support = (interpolation == Interpolation::bicubic ? 2 : 1) * filter_scale;
  Taps result;
  result.windows.resize(axis.count);
  std::vector<double> exact;
  for (int32_t i = 0; i < axis.count; ++i) {
    const double centre = (static_cast<double>(axis.first + i) + 0.5) * scale;
    Taps::Window& window = result.windows[i];
    window.begin = std::max(0, static_cast<int32_t>(centre - support + 0.5));
    window.end = std::min(axis.in, static_cast<int32_t>(centre + support + 0.5));
    window.weights = result.weights.size();
    exact.clear();
    double sum = 0;
    for (int32_t x = window.begin; x < window.end; ++x) {
      exact.push_back(filter((x - centre + 0.5) * inverse));
      sum += exact.back();
    }
    for (const double weight : exact) {
      const double scaled = (sum == 0 ? weight : weight / sum) * (1 << kWeightBits);
      result.weights.push_back(static_cast<int32_t>(scaled + (scaled < 0 ? -0.5 : 0.5)));
    }
  }
  return result;
}

// Pixels of `channels`, from the ones of an image that may have others.
void take_channels(const uint8_t* in, int32_t in_channels, int32_t width, int32_t channels,
                   uint8_t* out) {
  if (channels == 3 || in_channels < 3) {  // only alpha is left out
    for (int32_t x = 0; x < width; ++x, in += in_channels, out += channels)
      std::copy_n(in, channels, out);
    return;
  }
  for (int32_t x = 0; x < width; ++x, in += in_channels)
    out[x] = static_cast<uint8_t>((19595 * in[0] + 38470 * in[1] + 7471 * in[2] + 0x8000) >> 16);
}

template <int kChannels>
void resample_line(const uint8_t* in, const Taps& columns, uint8_t* out) {
  for (const Taps::Window& window : columns.windows) {
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, kHalf);
    const int32_t* const weights = columns.weights.data() + window.weights;
    const uint8_t* const pixels = in + size_t{kChannels} * window.begin;
    const int32_t count = window.end - window.begin;
    for (int32_t k = 0; k < count; ++k)
      for (int c = 0; c < kChannels; ++c) sums[c] += weights[k] * pixels[k * kChannels + c];
    for (int c = 0; c < kChannels; ++c) *out++ = rounded(sums[c]);
  }
}

}  // namespace

void resample(const ImageView& image, Interpolation interpolation, const ResizedAxis& columns,
              const ResizedAxis& rows, int32_t channels, std::span<uint8_t> out) {
  assert(channels == 1 || (channels == 3 && image.channels >= 3));
  const Taps across = taps(columns, interpolation), down = taps(rows, interpolation);
  const size_t row_bytes = size_t{1} * image.width * image.channels;
  const size_t line_bytes = across.windows.size() * static_cast<size_t>(channels);
  std::vector<uint8_t> taken(image.channels == channels ? 0 : size_t{1} * image.width * channels);
  std::vector<uint8_t> line(line_bytes);
  // Each row of the image is added to all that it is part of: no whole image of columns is kept.
  std::vector<int32_t> sums(out.size(), kHalf);
  size_t first = 0;
  for (int32_t y = down.windows.front().begin; y < down.windows.back().end; ++y) {
    while (down.windows[first].end <= y) ++first;
    const uint8_t* row = image.pixels.data() + y * row_bytes;
    if (!taken.empty()) {
      take_channels(row, image.channels, image.width, channels, taken.data());
      row = taken.data();
    }
    if (channels == 1)
      resample_line<1>(row, across, line.data());
    else
      resample_line<3>(row, across, line.data());
    for (size_t r = first; r < down.windows.size() && down.windows[r].holds(y); ++r) {
      const Taps::Window& window = down.windows[r];
      const int32_t weight = down.weights[window.weights + (y - window.begin)];
      int32_t* const sum = sums.data() + r * line_bytes;
      for (size_t i = 0; i < line_bytes; ++i) sum[i] += weight * line[i];
    }
  }
  std::transform(sums.begin(), sums.end(), out.begin(), rounded);
}

}  // namespace attune
