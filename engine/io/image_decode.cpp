#include "engine/io/bytes.h"
#include "engine/io/file.h"
#include "engine/io/image.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

using namespace std::string_view_literals;

using Bytes = std::span<const std::byte>;

// "P1" to "P6", then space or a comment.
bool is_pnm(Bytes file) {
  return file.size() > 2 && has_text(file, 0, "P") && u8_at(file, 1) >= '1' &&
         u8_at(file, 1) <= '6' &&
         "\t\n\v\f\r #"sv.find(static_cast<char>(file[2])) != std::string_view::npos;
}

// A format's decoder is null where this build has not found its library.
struct Format {
  const char* name;
  bool (*begins)(Bytes file);
  Status (*decode)(std::string_view path, Bytes file, StoredImage* stored);
};
constexpr Format kFormats[] = {
    {"PNG", [](Bytes file) { return has_text(file, 0, "\x89PNG\r\n\x1a\n"); }, ATTUNE_PNG},
    {"JPEG", [](Bytes file) { return has_text(file, 0, "\xff\xd8\xff"); }, ATTUNE_JPEG},
    {"WebP", [](Bytes file) { return has_text(file, 0, "RIFF") && has_text(file, 8, "WEBP"); },
     ATTUNE_WEBP},
    {"TIFF",
     [](Bytes file) {
       return has_text(file, 0, "II*\0"sv) || has_text(file, 0, "MM\0*"sv) ||
              has_text(file, 0, "II+\0"sv) || has_text(file, 0, "MM\0+"sv);
     },
     ATTUNE_TIFF},
    {"GIF", [](Bytes file) { return has_text(file, 0, "GIF8"); }, ATTUNE_GIF},
    {"BMP", [](Bytes file) { return has_text(file, 0, "BM"); }, decode_bmp},
    {"PNM", is_pnm, decode_pnm},
};

}  // namespace

Status image_cut_short(std::string_view path) {
  return file_error(path, "the image is cut short; copy it again");
}

Status image_not_decoded(std::string_view path, const char* reason) {
  return file_error(path, "cannot be decoded (%s); convert it to an ordinary PNG", reason);
}

Status size_image(std::string_view path, int64_t width, int64_t height, int32_t channels,
                  StoredImage* stored) {
  constexpr int64_t kMaxSide = 1 << 20;
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      width * height > stored->max_pixels)
    return file_error(path, "%lld x %lld pixels; give 1 to %lld, or allow more by --max-pixels",
                      static_cast<long long>(width), static_cast<long long>(height),
                      static_cast<long long>(stored->max_pixels));
  stored->image = {static_cast<int32_t>(width), static_cast<int32_t>(height), channels, {}};
  stored->image.pixels.resize(static_cast<size_t>(width * height * channels));
  return Status::ok();
}

Status check_image_bytes(std::string_view path, int64_t width, int64_t height, size_t bytes,
                         int64_t most_pixels_per_byte) {
  if (width * height <= most_pixels_per_byte * static_cast<int64_t>(bytes)) return Status::ok();
  return file_error(path, "%lld x %lld pixels in %zu bytes: the image is cut short; copy it again",
                    static_cast<long long>(width), static_cast<long long>(height), bytes);
}

std::vector<std::string_view> image_extensions() {
  return {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff",
          ".gif", ".bmp",  ".dib", ".ppm",  ".pgm", ".pbm",  ".pnm"};
}

Status decode_image(std::string_view path, Bytes file, const ReadLimits& limits, Image* image) {
  for (const Format& format : kFormats) {
    if (!format.begins(file)) continue;
    if (!format.decode)
      return file_error(path,
                        "a %s image, which this build does not read; install the packages of "
                        "cmake/install_packages.sh and build anew, or convert it to BMP or PNM",
                        format.name);
    StoredImage stored{limits.pixels, {}, 1};
    ATTUNE_RETURN_IF_ERROR(format.decode(path, file, &stored));
    apply_orientation(stored.orientation, &stored.image);
    *image = std::move(stored.image);
    return Status::ok();
  }
  return file_error(path, "not a PNG, JPEG, WebP, TIFF, GIF, BMP or PNM image; convert it");
}

}  // namespace attune
