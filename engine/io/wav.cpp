#include "engine/io/wav.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/io/bytes.h"
#include "engine/io/file.h"

namespace attune {
namespace {

constexpr uint16_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe;
constexpr uint32_t kUnknownSize = 0xffffffff;  // what a recorder writes into a pipe
constexpr int32_t kMaxSampleRate = 1 << 20;    // Hz
// The tail of every sub-format GUID that stands for a plain format number.
constexpr uint8_t kGuidTail[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

struct Format {
  uint16_t code = 0;  // kPcm or kFloat
  uint16_t channels = 0;
  uint16_t sample_bytes = 0;
  int32_t sample_rate = 0;
};

Status parse_format(std::string_view path, std::span<const std::byte> chunk, Format* format) {
  if (chunk.size() < 16)
    return file_error(path, "the WAV's format chunk has %zu bytes, not 16; convert the file anew",
                      chunk.size());
  format->code = little_endian_u16(chunk, 0);
  format->channels = little_endian_u16(chunk, 2);
  const uint32_t rate = little_endian_u32(chunk, 4);
  const uint16_t frame_bytes = little_endian_u16(chunk, 12);
  const uint16_t bits = little_endian_u16(chunk, 14);
  if (format->code == kExtensible) {
    if (chunk.size() < 40 || std::memcmp(chunk.data() + 26, kGuidTail, sizeof(kGuidTail)) != 0)
      return file_error(path, "unknown extensible WAV format; give 8-32 bit PCM or float WAV");
    format->code = little_endian_u16(chunk, 24);
  }
  const bool known = format->code == kPcm ? bits == 8 || bits == 16 || bits == 24 || bits == 32
                                          : format->code == kFloat && (bits == 32 || bits == 64);
  if (!known)
    return file_error(path, "WAV format %d with %d bits; give 8-32 bit PCM or float WAV",
                      format->code, bits);
  format->sample_bytes = static_cast<uint16_t>(bits / 8);
  if (format->channels == 0 || frame_bytes != format->channels * format->sample_bytes)
    return file_error(path, "%d channels of %d bits in frames of %d bytes; convert the WAV anew",
                      format->channels, bits, frame_bytes);
  if (rate < 1 || rate > kMaxSampleRate)
    return file_error(path, "a sample rate of %u Hz; give one of 1 .. %d", rate, kMaxSampleRate);
  format->sample_rate = static_cast<int32_t>(rate);
  return Status::ok();
}

// Full scale is 1.
double sample_at(std::span<const std::byte> data, size_t at, const Format& format) {
  if (format.code == kFloat)
    return format.sample_bytes == 4 ? double{std::bit_cast<float>(little_endian_u32(data, at))}
                                    : std::bit_cast<double>(little_endian_u64(data, at));
  switch (format.sample_bytes) {
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

Status read_samples(std::string_view path, std::span<const std::byte> data, const Format& format,
                    Audio* audio) {
  const size_t frame_bytes = size_t{format.channels} * format.sample_bytes;
  const size_t frames = data.size() / frame_bytes;
  if (frames == 0) return file_error(path, "the WAV holds no sample; remove it or record it anew");
  audio->sample_rate = format.sample_rate;
  audio->samples.resize(frames);
  for (size_t i = 0; i < frames; ++i) {
    double sum = 0;
    for (size_t c = 0; c < format.channels; ++c)
      sum += sample_at(data, i * frame_bytes + c * format.sample_bytes, format);
    audio->samples[i] = static_cast<float>(sum / format.channels);
    if (!std::isfinite(audio->samples[i]))
      return file_error(path, "sample %zu is NaN or infinite; remove the file or record it anew",
                        i);
  }
  return Status::ok();
}

}  // namespace

Status parse_wav(std::string_view path, std::span<const std::byte> file, Audio* audio) {
  if (!has_text(file, 0, "RIFF") || !has_text(file, 8, "WAVE"))
    return file_error(path, "not a WAV file (no RIFF header); give 8-32 bit PCM or float WAV");
  const uint32_t riff_bytes = little_endian_u32(file, 4);
  const bool streamed = riff_bytes == kUnknownSize;
  if (!streamed && riff_bytes > file.size() - 8)
    return file_error(path, "the WAV is cut short (%zu bytes of %llu); copy it again", file.size(),
                      riff_bytes + 8ull);

  Format format;
  bool have_format = false;
  size_t at = 12;
  while (file.size() - at >= 8) {
    uint64_t bytes = little_endian_u32(file, at + 4);
    const bool is_data = has_text(file, at, "data");
    const bool is_format = has_text(file, at, "fmt ");
    at += 8;
    if (is_data && streamed && bytes == kUnknownSize) bytes = file.size() - at;
    if (bytes > file.size() - at)
      return file_error(path,
                        "a WAV chunk of %llu bytes where %zu are left: cut short or damaged; copy "
                        "the file again",
                        static_cast<unsigned long long>(bytes), file.size() - at);
    if (is_format) {
      ATTUNE_RETURN_IF_ERROR(parse_format(path, file.subspan(at, bytes), &format));
      have_format = true;
    }
    if (is_data && !have_format)
      return file_error(path, "the WAV has no format before its data; convert it anew");
    if (is_data) return read_samples(path, file.subspan(at, bytes), format, audio);
    at = std::min<uint64_t>(at + bytes + bytes % 2, file.size());
  }
  return file_error(path, "the WAV has no data chunk; record it anew");
}

std::vector<float> resample_linear(std::span<const float> in, int32_t from_rate, int32_t to_rate,
                                   size_t max_samples) {
  assert(from_rate > 0 && to_rate > 0);
  if (in.empty()) return {};
  const uint64_t from = static_cast<uint64_t>(from_rate), to = static_cast<uint64_t>(to_rate);
  // The outputs with i * from < size * to.
  const uint64_t count = std::min<uint64_t>(max_samples, (in.size() * to + from - 1) / from);
  std::vector<float> out(count);
  for (uint64_t i = 0; i < count; ++i) {
    const size_t low = i * from / to;
    const size_t high = std::min(low + 1, in.size() - 1);
    const double weight = static_cast<double>(i * from % to) / static_cast<double>(to);
    out[i] = static_cast<float>(in[low] * (1 - weight) + in[high] * weight);
  }
  return out;
}

}  // namespace attune
