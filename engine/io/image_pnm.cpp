#include <cmath>
#include <optional>
#include <vector>

#include "engine/io/bytes.h"
#include "engine/io/file.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

// Numbers in text, with comments between them.
class PnmText {
 public:
  explicit PnmText(std::span<const std::byte> file) : file_(file) {}

  std::optional<uint32_t> number(uint32_t most) {
    if (!skip_space()) return {};
    uint32_t value = 0;
    const size_t begin = at_;
    for (; at_ < file_.size() && is_digit(); ++at_) {
      value = 10 * value + (u8_at(file_, at_) - '0');
      if (value > most) return {};
    }
    return at_ == begin ? std::nullopt : std::optional(value);
  }
  // A single digit: bits need no space between them.
  std::optional<uint32_t> bit() {
    if (!skip_space() || !is_digit() || u8_at(file_, at_) > '1') return {};
    return u8_at(file_, at_++) - '0';
  }
  // What follows the one space behind a header.
  std::span<const std::byte> rest() const { return file_.subspan(std::min(at_ + 1, file_.size())); }

 private:
  bool is_digit() const { return u8_at(file_, at_) >= '0' && u8_at(file_, at_) <= '9'; }
  bool skip_space() {
    for (bool comment = false; at_ < file_.size(); ++at_) {
      const uint8_t c = u8_at(file_, at_);
      const bool line_end = c == '\n' || c == '\r';
      comment = comment ? !line_end : c == '#';
      if (!comment && c != ' ' && !(c >= '\t' && c <= '\r')) return true;
    }
    return false;
  }

  std::span<const std::byte> file_;
  size_t at_ = 2;  // behind "P6"
};

}  // namespace

// PBM, PGM and PPM, in text and in bytes; values of another range are scaled to 0 .. 255.
Status decode_pnm(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  const int kind = u8_at(file, 1) - '0';
  const bool text = kind <= 3, bits = kind == 1 || kind == 4;
  PnmText header(file);
  const auto width = header.number(1 << 30), height = header.number(1 << 30);
  const auto most = bits ? std::optional<uint32_t>(1) : header.number(65535);
  if (!width || !height || !most || *most == 0)
    return image_not_decoded(path, "no size or range in its header");
  const int32_t channels = kind % 3 == 0 ? 3 : 1;
  const size_t value_bytes = *most > 255 ? 2 : 1;
  const uint64_t row_bytes = bits
                                 ? (uint64_t{*width} + 7) / 8
                                 : uint64_t{*width} * static_cast<uint64_t>(channels) * value_bytes;
  const std::span<const std::byte> data = header.rest();
  if (*height > 0 && (text ? *width : row_bytes) > data.size() / *height)
    return image_cut_short(path);
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(size_image(path, *width, *height, channels, stored));

  std::vector<uint8_t> byte_of(*most + 1);
  for (uint32_t v = 0; v <= *most; ++v)
    byte_of[v] = static_cast<uint8_t>(std::nearbyint(static_cast<double>(v) / *most * 255));
  const size_t row = size_t{1} * image.width * channels;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    std::optional<uint32_t> value;
    if (text)
      value = kind == 1 ? header.bit() : header.number(*most);
    else if (kind == 4)
      value = u8_at(data, i / row * row_bytes + i % row / 8) >> (7 - i % row % 8) & 1;
    else
      value = value_bytes == 1 ? u8_at(data, i) : u8_at(data, 2 * i) << 8 | u8_at(data, 2 * i + 1);
    if (!value) return image_not_decoded(path, "cut short, or a value out of range");
    const uint8_t byte = byte_of[std::min(*value, *most)];
    image.pixels[i] = bits ? static_cast<uint8_t>(255 - byte) : byte;  // ink is 1
  }
  return Status::ok();
}

}  // namespace attune
