#include <tiffio.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/io/file.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

// Of a strip or tile of all pixels: 16 bits of four channels each.
constexpr int64_t kMostBytesPerPixel = 8;

struct TiffSource {
  std::span<const std::byte> file;
  uint64_t at = 0;
  char failure[256] = "";
  bool lacks_colours = false;
};

struct DeleteTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};
using Tiff = std::unique_ptr<TIFF, DeleteTiff>;

int note_error(TIFF*, void* source, const char*, const char* format, va_list arguments) {
  auto* const s = static_cast<TiffSource*>(source);
  if (!*s->failure) std::vsnprintf(s->failure, sizeof(s->failure), format, arguments);
  return 1;
}

// Of what libtiff goes on without, only a palette changes the picture.
int note_warning(TIFF*, void* source, const char*, const char* format, va_list arguments) {
  char text[256];
  std::vsnprintf(text, sizeof(text), format, arguments);
  if (std::strstr(text, "ColorMap")) static_cast<TiffSource*>(source)->lacks_colours = true;
  return 1;
}

tmsize_t read_bytes(thandle_t source, void* out, tmsize_t count) {
  auto* const s = static_cast<TiffSource*>(source);
  const uint64_t left = s->file.size() - std::min<uint64_t>(s->at, s->file.size());
  const uint64_t got = std::min(left, static_cast<uint64_t>(count));
  if (got > 0) std::memcpy(out, s->file.data() + s->at, got);
  s->at += got;
  return static_cast<tmsize_t>(got);
}

toff_t seek(thandle_t source, toff_t offset, int whence) {
  auto* const s = static_cast<TiffSource*>(source);
  s->at = whence == SEEK_SET ? offset : (whence == SEEK_CUR ? s->at : s->file.size()) + offset;
  return s->at;
}

Tiff open_tiff(TiffSource* source, int64_t max_pixels) {
  const std::unique_ptr<TIFFOpenOptions, DeleteTiff> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetMaxSingleMemAlloc(
      options.get(),
      (int64_t{1} << 20) + std::min(max_pixels, int64_t{1} << 40) * kMostBytesPerPixel);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), note_error, source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), note_warning, source);
  // In memory as a mapped file is: libtiff 4.5 does not read all tiles otherwise.
  const auto map = [](thandle_t s, void** begin, toff_t* size) {
    const std::span<const std::byte> file = static_cast<TiffSource*>(s)->file;
    *begin = const_cast<std::byte*>(file.data()), *size = file.size();
    return 1;
  };
  return Tiff(TIFFClientOpenExt(
      "", "r", source, read_bytes, [](thandle_t, void*, tmsize_t) { return tmsize_t{0}; }, seek,
      [](thandle_t) { return 0; },
      [](thandle_t s) { return toff_t{static_cast<TiffSource*>(s)->file.size()}; }, map,
      [](thandle_t, void*, toff_t) {}, options.get()));
}

}  // namespace

// The first page.
Status decode_tiff(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  TiffSource source{file};
  const Tiff tiff = open_tiff(&source, stored->max_pixels);
  const auto failed = [&](const char* otherwise) {
    return image_not_decoded(path, *source.failure ? source.failure : otherwise);
  };
  if (!tiff) return failed("damaged");
  uint32_t width = 0, height = 0;
  uint16_t orientation = 1, samples = 1;
  TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height);
  TIFFGetField(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  TIFFGetField(tiff.get(), TIFFTAG_SAMPLESPERPIXEL, &samples);
  // libtiff 4.5 puts the last tile of a row together wrongly.
  if (samples == 2 && TIFFIsTiled(tiff.get()))
    return image_not_decoded(path, "grey and alpha in tiles");
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(size_image(path, width, height, 4, stored));
  // Colours that are stored times their alpha are divided by it. libtiff would multiply others: it
  // is told that they are already.
  uint16_t count = 0;
  const uint16_t* extra = nullptr;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_EXTRASAMPLES, &count, &extra);
  std::vector<uint16_t> kinds(extra, extra + count);
  const bool premultiplied = count > 0 && kinds[0] == EXTRASAMPLE_ASSOCALPHA;
  std::replace(kinds.begin(), kinds.end(), uint16_t{EXTRASAMPLE_UNASSALPHA},
               uint16_t{EXTRASAMPLE_ASSOCALPHA});
  if (count > 0) TIFFSetField(tiff.get(), TIFFTAG_EXTRASAMPLES, count, kinds.data());

  // Each pixel is read as one number into the place of its four bytes.
  auto* const raster = reinterpret_cast<uint32_t*>(image.pixels.data());
  TIFFRGBAImage rgba;
  char refusal[1024] = "";
  if (!TIFFRGBAImageOK(tiff.get(), refusal) || !TIFFRGBAImageBegin(&rgba, tiff.get(), 1, refusal))
    return failed(refusal);
  // Rows as they lie in the file, from the top.
  rgba.req_orientation = rgba.orientation = ORIENTATION_TOPLEFT;
  const bool read = TIFFRGBAImageGet(&rgba, raster, width, height) != 0;
  TIFFRGBAImageEnd(&rgba);
  if (!read || source.lacks_colours) return failed("cut short");
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    uint8_t* const pixel = &image.pixels[i];
    uint32_t colour;
    std::memcpy(&colour, pixel, 4);
    pixel[0] = TIFFGetR(colour), pixel[1] = TIFFGetG(colour), pixel[2] = TIFFGetB(colour);
    pixel[3] = TIFFGetA(colour);
    if (premultiplied && pixel[3] > 0)
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(std::min(255, 255 * pixel[c] / pixel[3]));
  }
  stored->orientation = orientation;
  return Status::ok();
}

}  // namespace attune
