#include "engine/io/wav.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/io/bytes.h"
#include "engine/io/file.h"

namespace attune {
namespace {

constexpr uint16_t kPcm = 1, kFloat = 3, kALaw = 6, kMuLaw = 7, kExtensible = 0xfffe;
constexpr uint32_t kUnknownSize = 0xffffffff;    // of RF64: ds64 has it
constexpr uint32_t kLeastPipeSize = 0x7ffff000;  // sox, espeak and ffmpeg write this or more
constexpr const char* kGive = "give WAV of PCM, float, A-law or mu-law";
// The tail of every sub-format GUID that stands for a plain format number.
constexpr uint8_t kGuidTail[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

Status parse_format(std::string_view path, std::span<const std::byte> chunk, WavHeader* header) {
  if (chunk.size() < 16)
    return file_error(path, "the WAV's format chunk has %zu bytes, not 16; convert the file anew",
                      chunk.size());
  header->coding = little_endian_u16(chunk, 0);
  header->channels = little_endian_u16(chunk, 2);
  const uint32_t rate = little_endian_u32(chunk, 4);
  const uint16_t frame_bytes = little_endian_u16(chunk, 12);
  const uint16_t bits = little_endian_u16(chunk, 14);
  if (header->coding == kExtensible && chunk.size() >= 40 &&
      std::memcmp(chunk.data() + 26, kGuidTail, sizeof(kGuidTail)) == 0)
    header->coding = little_endian_u16(chunk, 24);
  switch (header->coding) {
    case kPcm:
      header->foreign = bits < 1 || bits > 32;
      break;
    case kFloat:
      header->foreign = bits != 32 && bits != 64;
      break;
    case kALaw:
    case kMuLaw:
      header->foreign = bits != 8;
      break;
    default:
      header->foreign = true;
  }
  if (header->foreign)
    return file_error(path, "WAV format %d with %d bits; %s", header->coding, bits, kGive);
  header->sample_bytes = static_cast<uint16_t>((bits + 7) / 8);
  // Frames that are too small for their samples are a mistake; larger ones would hold gaps.
  if (header->channels == 0 || frame_bytes > header->channels * header->sample_bytes)
    return file_error(path, "%d channels of %d bits in frames of %d bytes; convert the WAV anew",
                      header->channels, bits, frame_bytes);
  if (rate < 1 || rate > kMaxSampleRate)
    return file_error(path, "a sample rate of %u Hz; give one of 1 .. %d", rate, kMaxSampleRate);
  header->sample_rate = static_cast<int32_t>(rate);
  return Status::ok();
}

// ITU-T G.711, in 16 bits.
int mu_law(uint8_t byte) {
  const int code = ~byte & 0xff;
  const int magnitude = (((code & 0xf) << 3) + 0x84) << (code >> 4 & 7);
  return code & 0x80 ? 0x84 - magnitude : magnitude - 0x84;
}

int a_law(uint8_t byte) {
  const int code = byte ^ 0x55, exponent = code >> 4 & 7, mantissa = (code & 0xf) << 4;
  const int magnitude = exponent == 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1);
  return code & 0x80 ? magnitude : -magnitude;
}

// Full scale is 1.
double sample_at(std::span<const std::byte> data, size_t at, const WavHeader& header) {
  if (header.coding == kFloat)
    return header.sample_bytes == 4 ? double{std::bit_cast<float>(little_endian_u32(data, at))}
                                    : std::bit_cast<double>(little_endian_u64(data, at));
  if (header.coding == kMuLaw) return mu_law(u8_at(data, at)) / 32768.0;
  if (header.coding == kALaw) return a_law(u8_at(data, at)) / 32768.0;
  switch (header.sample_bytes) {
    case 1:
      return (u8_at(data, at) - 128) / 128.0;
    case 2:
      return static_cast<int16_t>(little_endian_u16(data, at)) / 32768.0;
    case 3: {
      const uint32_t high = uint32_t{little_endian_u16(data, at + 1)} << 16;
      const uint32_t low = uint32_t{u8_at(data, at)} << 8;
      return static_cast<int32_t>(high | low) / 2147483648.0;
    }
    default:
      return static_cast<int32_t>(little_endian_u32(data, at)) / 2147483648.0;
  }
}

// Where the chunk after one that ends at `end` starts. Chunks of odd length have a byte of padding,
// which some writers forget: a name's first byte is never 0.
uint64_t next_chunk(std::span<const std::byte> head, uint64_t end, uint64_t bytes) {
  const bool padded = bytes % 2 == 1 && !(end < head.size() && u8_at(head, end) != 0);
  return end + padded;
}

}  // namespace

Status append_frame(std::string_view path, std::span<const double> channels, Audio* audio) {
  double sum = 0;
  for (double sample : channels) sum += sample;
  const auto mean = static_cast<float>(sum / static_cast<double>(channels.size()));
  if (!std::isfinite(mean))
    return file_error(path, "sample %zu is NaN or infinite; remove the file or record it anew",
                      audio->samples.size());
  audio->samples.push_back(mean);
  return Status::ok();
}

Status parse_wav_header(std::string_view path, std::span<const std::byte> head, uint64_t file_bytes,
                        WavHeader* header) {
  header->foreign =
      !has_text(head, 8, "WAVE") ||
      !(has_text(head, 0, "RIFF") || has_text(head, 0, "RF64") || has_text(head, 0, "BW64"));
  if (header->foreign) return file_error(path, "not a WAV file (no RIFF header); %s", kGive);
  const uint64_t riff_end = uint64_t{8} + little_endian_u32(head, 4);
  bool have_format = false;
  uint64_t wide_size = kUnknownSize;
  uint64_t at = 12;
  while (at + 8 <= head.size()) {
    uint64_t bytes = little_endian_u32(head, at + 4);
    const uint64_t name_at = at;
    at += 8;
    const std::span<const std::byte> chunk =
        head.subspan(at, std::min<uint64_t>(bytes, head.size() - at));
    if (has_text(head, name_at, "fmt ")) {
      ATTUNE_RETURN_IF_ERROR(parse_format(path, chunk, header));
      have_format = true;
    }
    if (has_text(head, name_at, "ds64") && chunk.size() >= 16)
      wide_size = little_endian_u64(chunk, 8);
    if (has_text(head, name_at, "data")) {
      if (!have_format)
        return file_error(path, "the WAV has no format before its data; convert it anew");
      const uint64_t left = file_bytes - at;
      if (bytes == kUnknownSize) bytes = wide_size;
      // A writer that was stopped, or wrote into a pipe, never came back to fill in sizes.
      const bool unfinished = bytes == 0 ? riff_end <= at || riff_end > file_bytes
                                         : bytes >= kLeastPipeSize && bytes <= kUnknownSize;
      if (unfinished) bytes = left;
      const uint64_t frame_bytes = uint64_t{header->channels} * header->sample_bytes;
      header->data_at = at;
      header->frames = std::min(bytes, left) / frame_bytes;
      header->cut_short = bytes > left && !unfinished;
      return Status::ok();
    }
    at = next_chunk(head, at + bytes, bytes);
  }
  return file_error(path, "the WAV has no data chunk; record it anew");
}

Status read_wav(std::string_view path, std::span<const std::byte> file, const WavHeader& header,
                Audio* audio) {
  if (header.frames == 0)
    return file_error(path, "the WAV holds no sample; remove it or record it anew");
  audio->sample_rate = header.sample_rate;
  audio->samples.clear();
  audio->samples.reserve(header.frames);
  std::vector<double> frame(header.channels);
  size_t at = header.data_at;
  for (uint64_t i = 0; i < header.frames; ++i) {
    for (double& sample : frame) {
      sample = sample_at(file, at, header);
      at += header.sample_bytes;
    }
    ATTUNE_RETURN_IF_ERROR(append_frame(path, frame, audio));
  }
  return Status::ok();
}

}  // namespace attune
