#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/io/file.h"
#include "engine/io/image_formats.h"

namespace attune {
namespace {

struct Close {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};
using Gif = std::unique_ptr<GifFileType, Close>;

int read_bytes(GifFileType* gif, GifByteType* out, int count) {
  auto& file = *static_cast<std::span<const std::byte>*>(gif->UserData);
  const size_t got = std::min(file.size(), static_cast<size_t>(count));
  std::memcpy(out, file.data(), got);
  file = file.subspan(got);
  return static_cast<int>(got);
}

// Goes on to the first picture; false where there is none. *transparent is its colour that is none,
// 0 where it has no such.
bool find_picture(GifFileType* gif, int* transparent) {
  GifRecordType type;
  while (DGifGetRecordType(gif, &type) == GIF_OK) {
    if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(gif) == GIF_OK;
    if (type == TERMINATE_RECORD_TYPE) return false;
    if (type != EXTENSION_RECORD_TYPE) continue;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) != GIF_OK) return false;
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
      *transparent = std::max(0, control.TransparentColor);
    while (block)
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) return false;
  }
  return false;
}

}  // namespace

// The first picture. As in Pillow, what it leaves free of the screen has the transparent colour, or
// the first, and a screen that is too small grows.
Status decode_gif(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  int code = 0, transparent = 0;
  const Gif gif(DGifOpen(&file, read_bytes, &code));
  if (!gif || !find_picture(gif.get(), &transparent))
    return image_not_decoded(path, GifErrorString(gif ? gif->Error : code));
  const GifImageDesc& frame = gif->Image;
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(size_image(path, std::max(gif->SWidth, frame.Left + frame.Width),
                                    std::max(gif->SHeight, frame.Top + frame.Height), 3, stored));
  uint8_t palette[256][3];
  for (int i = 0; i < 256; ++i) std::fill_n(palette[i], 3, static_cast<uint8_t>(i));
  if (const ColorMapObject* map = frame.ColorMap ? frame.ColorMap : gif->SColorMap)
    for (int i = 0; i < std::min(map->ColorCount, 256); ++i) {
      const GifColorType& colour = map->Colors[i];
      palette[i][0] = colour.Red, palette[i][1] = colour.Green, palette[i][2] = colour.Blue;
    }
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    std::copy_n(palette[transparent], 3, &image.pixels[i]);

  std::vector<GifPixelType> line(frame.Width);
  struct Pass {
    int first, step;
  };
  const std::vector<Pass> passes = frame.Interlace
                                       ? std::vector<Pass>{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
                                       : std::vector<Pass>{{0, 1}};
  for (const auto& [first, step] : passes)
    for (int y = first; y < frame.Height; y += step) {
      if (DGifGetLine(gif.get(), line.data(), frame.Width) != GIF_OK)
        return image_not_decoded(path, GifErrorString(gif->Error));
      uint8_t* out =
          image.pixels.data() + 3 * (size_t{1} * (frame.Top + y) * image.width + frame.Left);
      for (const GifPixelType index : line) out = std::copy_n(palette[index], 3, out);
    }
  return Status::ok();
}

}  // namespace attune
