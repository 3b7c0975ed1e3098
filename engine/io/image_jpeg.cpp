#include <algorithm>
#include <csetjmp>
#include <cstdio>
// Behind <cstdio>, which jpeglib.h needs.
#include <jerror.h>
#include <jpeglib.h>

#include "engine/io/bytes.h"
#include "engine/io/file.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

// A block of 64 pixels takes a bit at least.
constexpr int64_t kMaxJpegPixelsPerByte = 8 * 64;
constexpr int kMaxScans = 64;  // a progressive picture has about ten

// libjpeg with its jumps: nothing between setjmp and what may jump back has a destructor.
class JpegReader {
 public:
  explicit JpegReader(std::span<const std::byte> file) : file_(file) {}
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_header() {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr jpeg) { self(jpeg)->fail(); };
    errors_.emit_message = [](j_common_ptr jpeg, int level) {
      if (level < 0) self(jpeg)->note_warning();
    };
    progress_.progress_monitor = [](j_common_ptr jpeg) { self(jpeg)->check_scans(); };
    jpeg_.client_data = this;
    if (setjmp(back_)) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
    jpeg_save_markers(&jpeg_, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&jpeg_, TRUE);
    jpeg_.out_color_space = channels() == 1 ? JCS_GRAYSCALE : channels() == 3 ? JCS_RGB : JCS_CMYK;
    return true;
  }

  bool read_pixels(uint8_t* pixels) {
    if (setjmp(back_)) return false;
    jpeg_start_decompress(&jpeg_);
    const size_t row_bytes = size_t{1} * jpeg_.output_width * jpeg_.output_components;
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels + jpeg_.output_scanline * row_bytes;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    return true;
  }

  // Whether every pixel's data were there. Only the end marker may be missing.
  bool is_complete() const {
    if (missing_data_ || (missing_end_ && jpeg_.arith_code)) return false;
    for (int c = 0; c < jpeg_.num_components; ++c) {
      if (!jpeg_.comp_info[c].quant_table) return false;  // taken when its first scan begins
      for (int k = 0; missing_end_ && jpeg_.coef_bits && k < DCTSIZE2; ++k)
        if (jpeg_.coef_bits[c][k] != 0) return false;
    }
    return true;
  }

  int64_t width() const { return jpeg_.image_width; }
  int64_t height() const { return jpeg_.image_height; }
  int channels() const { return jpeg_.num_components; }
  const char* failure() const { return failure_; }
  bool too_many_scans() const { return too_many_scans_; }
  int most_scans() const { return jpeg_.progressive_mode ? kMaxScans : jpeg_.num_components; }

  int orientation() const {
    for (const jpeg_marker_struct* marker = jpeg_.marker_list; marker; marker = marker->next) {
      const auto data = std::as_bytes(std::span(marker->data, marker->data_length));
      if (has_text(data, 0, {"Exif\0\0", 6})) return exif_orientation(data);
    }
    return 1;
  }

 private:
  static JpegReader* self(j_common_ptr jpeg) { return static_cast<JpegReader*>(jpeg->client_data); }

  [[noreturn]] void fail() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&jpeg_), failure_);
    std::longjmp(back_, 1);
  }
  void note_warning() {
    missing_data_ |=
        errors_.msg_code == JWRN_HIT_MARKER;  // zeros stand for bits that are not there
    missing_end_ |= errors_.msg_code == JWRN_JPEG_EOF;
  }
  // Each goes through the whole picture: a small file would keep the decoder busy for long.
  void check_scans() {
    too_many_scans_ = jpeg_.input_scan_number > most_scans();
    if (too_many_scans_) std::longjmp(back_, 1);
  }

  std::span<const std::byte> file_;
  jpeg_decompress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf back_ = {};
  char failure_[JMSG_LENGTH_MAX] = "";
  bool missing_data_ = false, missing_end_ = false, too_many_scans_ = false;
};

// Pixels of four inks to RGB. Whether Adobe wrote the file or not, inks are taken as inverted.
void inks_to_rgb(Image* image) {
  const size_t pixels = image->pixels.size() / 4;
  uint8_t* out = image->pixels.data();
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* const inks = image->pixels.data() + 4 * i;
    const int light = inks[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - inks[c]) * light + 128;
      *out++ = static_cast<uint8_t>(std::max(0, light - ((product + (product >> 8)) >> 8)));
    }
  }
  image->pixels.resize(3 * pixels);
  image->channels = 3;
}

}  // namespace

Status decode_jpeg(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  JpegReader reader(file);
  if (!reader.read_header()) return image_not_decoded(path, reader.failure());
  if (reader.channels() != 1 && reader.channels() != 3 && reader.channels() != 4)
    return file_error(path, "a JPEG of %d channels; convert it to RGB", reader.channels());
  ATTUNE_RETURN_IF_ERROR(
      check_image_bytes(path, reader.width(), reader.height(), file.size(), kMaxJpegPixelsPerByte));
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(
      size_image(path, reader.width(), reader.height(), reader.channels(), stored));
  if (!reader.read_pixels(image.pixels.data()))
    return reader.too_many_scans()
               ? file_error(path, "the JPEG has more than %d scans; convert it anew",
                            reader.most_scans())
               : image_not_decoded(path, reader.failure());
  if (!reader.is_complete()) return image_cut_short(path);
  if (image.channels == 4) inks_to_rgb(&image);
  stored->orientation = reader.orientation();
  return Status::ok();
}

}  // namespace attune
