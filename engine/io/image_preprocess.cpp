#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/io/image.h"
#include "engine/io/image_resample.h"

namespace attune {
namespace {

constexpr int32_t kMaxSide = 1 << 15;

// Where one output row or column takes its two neighbours from.
struct Tap {
  int32_t low = 0, high = 0;
  float high_weight = 0;
};

std::vector<Tap> taps(const ResizedAxis& axis) {
  const int32_t last = axis.in - 1;
  const float scale = static_cast<float>(axis.in) / static_cast<float>(axis.resized);
  std::vector<Tap> result(axis.count);
  for (int32_t i = 0; i < axis.count; ++i) {
    const float centre = scale * (static_cast<float>(axis.first + i) + 0.5f) - 0.5f;
    const float source = std::clamp(centre, 0.0f, static_cast<float>(last));
    Tap& tap = result[i];
    tap.low = std::min(static_cast<int32_t>(source), last);
    tap.high = std::min(tap.low + 1, last);
    tap.high_weight = source - static_cast<float>(tap.low);
  }
  return result;
}

float luma(const uint8_t* rgb) { return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]; }

// Lines of one channel, resized along their width. Two neighbours are kept: the next line of the
// output is likely to lie between the same.
template <class Value>
class ResizedLines {
 public:
  // `value` reads a pixel: one of its channels, or its luma.
  ResizedLines(const ImageView& image, const std::vector<Tap>& columns, const Value& value)
      : image_(image), columns_(columns), value_(value) {
    for (std::vector<float>& line : lines_) line.resize(columns.size());
  }

  const float* at(int32_t y) {
    std::vector<float>& line = lines_[y % 2];
    if (held_[y % 2] == y) return line.data();
    held_[y % 2] = y;
    const size_t channels = image_.channels;
    const uint8_t* row = image_.pixels.data() + y * (image_.width * channels);
    for (size_t i = 0; i < columns_.size(); ++i) {
      const Tap& x = columns_[i];
      line[i] = (1.0f - x.high_weight) * value_(row + x.low * channels) +
                x.high_weight * value_(row + x.high * channels);
    }
    return line.data();
  }

 private:
  const ImageView& image_;
  const std::vector<Tap>& columns_;
  const Value& value_;
  std::vector<float> lines_[2];
  int32_t held_[2] = {-1, -1};
};

// The channel at `out` of pixels of `channels`, and the `copies - 1` channels after it.
template <class Value>
void resize_channel(const ImageView& image, const std::vector<Tap>& rows,
                    const std::vector<Tap>& columns, int32_t channels, int32_t copies, uint8_t* out,
                    const Value& value) {
  ResizedLines<Value> lines(image, columns, value);
  for (const Tap& y : rows) {
    const float* const top = lines.at(y.low);
    const float* const bottom = lines.at(y.high);
    const float w1 = y.high_weight, w0 = 1.0f - w1;
    for (size_t i = 0; i < columns.size(); ++i, out += channels) {
      const auto rounded = std::clamp(std::lrint(w0 * top[i] + w1 * bottom[i]), 0L, 255L);
      for (int32_t c = 0; c < copies; ++c) out[c] = static_cast<uint8_t>(rounded);
    }
  }
}

// As PyTorch's interpolate(mode='bilinear', align_corners=False), rounded once, halves to even.
void resize_aliased(const ImagePreprocess& config, const ImageView& image,
                    const ResizedAxis& columns_axis, const ResizedAxis& rows_axis, uint8_t* out) {
  const std::vector<Tap> columns = taps(columns_axis), rows = taps(rows_axis);
  const auto channel = [](int32_t c) {
    return [c](const uint8_t* pixel) { return static_cast<float>(pixel[c]); };
  };
  const int32_t channels = config.channels;
  if (image.channels < 3)
    return resize_channel(image, rows, columns, channels, channels, out, channel(0));
  if (channels == 1) return resize_channel(image, rows, columns, 1, 1, out, luma);
  for (int32_t c = 0; c < channels; ++c)
    resize_channel(image, rows, columns, channels, 1, out + c, channel(config.bgr ? 2 - c : c));
}

void resize_filtered(const ImagePreprocess& config, const ImageView& image,
                     const ResizedAxis& columns, const ResizedAxis& rows, std::span<uint8_t> out) {
  if (config.channels == 3 && image.channels < 3) {
    std::vector<uint8_t> grey(out.size() / 3);
    resample(image, config.interpolation, columns, rows, 1, grey);
    for (size_t i = 0; i < out.size(); ++i) out[i] = grey[i / 3];
    return;
  }
  resample(image, config.interpolation, columns, rows, config.channels, out);
  if (config.channels == 3 && config.bgr)
    for (size_t i = 0; i < out.size(); i += 3) std::swap(out[i], out[i + 2]);
}

}  // namespace

Status check_image_preprocess(const ImagePreprocess& config) {
  if (config.width < 1 || config.height < 1 || config.width > kMaxSide || config.height > kMaxSide)
    return Status::error("image front end: size %d x %d is outside 1 .. %d; compile the plan anew",
                         config.width, config.height, kMaxSide);
  if (config.channels != 1 && config.channels != 3)
    return Status::error("image front end: %d channels; compile the plan with 1 or 3",
                         config.channels);
  if (config.resize != Resize::stretch && config.resize != Resize::center_crop)
    return Status::error("image front end: unknown resize mode %d; use a newer Attune",
                         static_cast<int>(config.resize));
  if (config.interpolation > Interpolation::bicubic)
    return Status::error("image front end: unknown interpolation %d; use a newer Attune",
                         static_cast<int>(config.interpolation));
  const int32_t longer = std::max(config.width, config.height);
  if (config.resize == Resize::center_crop &&
      (config.resize_shorter < longer || config.resize_shorter > kMaxSide))
    return Status::error(
        "image front end: the shorter side resized to %d pixels does not hold a crop of %d x %d; "
        "compile the plan with %d .. %d",
        config.resize_shorter, config.width, config.height, longer, kMaxSide);
  return Status::ok();
}

void preprocess_image(const ImagePreprocess& config, const ImageView& image,
                      std::span<uint8_t> out) {
  assert(check_image_preprocess(config).is_ok());
  assert(image.width > 0 && image.height > 0);
  assert(image.pixels.size() == size_t{1} * image.width * image.height * image.channels);
  assert(out.size() == size_t{1} * config.width * config.height * config.channels);

  ResizedAxis columns{image.width, config.width, 0, config.width};
  ResizedAxis rows{image.height, config.height, 0, config.height};
  if (config.resize == Resize::center_crop) {
    const int64_t shorter = std::min(image.width, image.height);
    for (ResizedAxis* axis : {&columns, &rows}) {
      axis->resized = int64_t{axis->in} * config.resize_shorter / shorter;
      axis->first = std::llrint(static_cast<double>(axis->resized - axis->count) / 2);
    }
  }
  if (config.interpolation == Interpolation::bilinear_aliased)
    resize_aliased(config, image, columns, rows, out.data());
  else
    resize_filtered(config, image, columns, rows, out);
}

}  // namespace attune
