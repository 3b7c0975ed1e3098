#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "engine/io/bytes.h"
#include "engine/io/file.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

constexpr int64_t kMaxPngPixelsPerByte = 8 * int64_t{kMaxInflation};

// Every chunk is there, with the right sum, the last one among them: libpng does not look at what
// follows the picture. *exif is the EXIF data, wherever they stand.
Status check_png(std::string_view path, std::span<const std::byte> file,
                 std::span<const std::byte>* exif) {
  size_t at = 8;
  while (true) {
    if (file.size() - at < 12) return image_cut_short(path);
    const uint32_t length = big_endian_u32(file, at);
    if (length > file.size() - at - 12) return image_cut_short(path);
    const auto* type = reinterpret_cast<const Bytef*>(file.data() + at + 4);
    if (crc32_z(0, type, size_t{length} + 4) != big_endian_u32(file, at + 8 + length))
      return file_error(path, "the PNG is damaged at byte %zu (wrong checksum); copy it again", at);
    if (std::memcmp(type, "eXIf", 4) == 0) *exif = file.subspan(at + 8, length);
    if (std::memcmp(type, "IEND", 4) == 0) return Status::ok();
    at += size_t{length} + 12;
  }
}

// libpng with its jumps: nothing between setjmp and what may jump back has a destructor.
class PngReader {
 public:
  explicit PngReader(std::span<const std::byte> file) : file_(file) {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this,
        [](png_structp png, png_const_charp message) {
          auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
          std::snprintf(reader->failure_, sizeof(reader->failure_), "%s", message);
          std::longjmp(reader->back_, 1);
        },
        [](png_structp, png_const_charp) {});
    if (png_) info_ = png_create_info_struct(png_);
    if (!info_) throw std::bad_alloc();
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() {
    if (setjmp(back_)) return false;
    png_set_read_fn(png_, this, [](png_structp png, png_bytep out, size_t count) {
      auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
      if (count > reader->file_.size()) png_error(png, "no more data");
      std::memcpy(out, reader->file_.data(), count);
      reader->file_ = reader->file_.subspan(count);
    });
    png_read_info(png_, info_);
    png_set_strip_16(png_);  // the high byte
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_pixels(png_bytepp rows) {
    if (setjmp(back_)) return false;
    png_read_image(png_, rows);
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }
  int channels() const { return png_get_channels(png_, info_); }
  const char* failure() const { return failure_; }

 private:
  std::span<const std::byte> file_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf back_ = {};
  char failure_[128] = "";
};

}  // namespace

Status decode_png(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  std::span<const std::byte> exif;
  ATTUNE_RETURN_IF_ERROR(check_png(path, file, &exif));
  PngReader reader(file);
  if (!reader.read_header()) return image_not_decoded(path, reader.failure());
  ATTUNE_RETURN_IF_ERROR(
      check_image_bytes(path, reader.width(), reader.height(), file.size(), kMaxPngPixelsPerByte));
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(
      size_image(path, reader.width(), reader.height(), reader.channels(), stored));
  std::vector<png_bytep> rows(image.height);
  for (int32_t y = 0; y < image.height; ++y)
    rows[y] = image.pixels.data() + size_t{1} * y * image.width * image.channels;
  if (!reader.read_pixels(rows.data())) return image_not_decoded(path, reader.failure());
  stored->orientation = exif_orientation(exif);
  return Status::ok();
}

}  // namespace attune
