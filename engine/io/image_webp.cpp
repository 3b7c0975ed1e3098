#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "engine/io/image_formats.h"

namespace attune {
namespace {

struct DeleteDecoder {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

}  // namespace

// The first frame, where there are several.
Status decode_webp(std::string_view path, std::span<const std::byte> file, StoredImage* stored) {
  const WebPData data{reinterpret_cast<const uint8_t*>(file.data()), file.size()};
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data.bytes, data.size, &features) != VP8_STATUS_OK)
    return image_not_decoded(path, "no WebP header");
  Image& image = stored->image;
  ATTUNE_RETURN_IF_ERROR(size_image(path, features.width, features.height, 4, stored));
  const std::unique_ptr<WebPAnimDecoder, DeleteDecoder> decoder(WebPAnimDecoderNew(&data, nullptr));
  WebPAnimInfo info;
  uint8_t* pixels = nullptr;
  int time = 0;
  if (!decoder || !WebPAnimDecoderGetInfo(decoder.get(), &info) ||
      info.canvas_width != static_cast<uint32_t>(image.width) ||
      info.canvas_height != static_cast<uint32_t>(image.height) ||
      !WebPAnimDecoderGetNext(decoder.get(), &pixels, &time))
    return image_not_decoded(path, "damaged or cut short");
  std::memcpy(image.pixels.data(), pixels, image.pixels.size());
  WebPChunkIterator chunk = {};
  if (WebPDemuxGetChunk(WebPAnimDecoderGetDemuxer(decoder.get()), "EXIF", 1, &chunk))
    stored->orientation =
        exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
  WebPDemuxReleaseChunkIterator(&chunk);
  return Status::ok();
}

}  // namespace attune
