#include "engine/io/sndfile.h"

#include "engine/io/file.h"

#ifdef ATTUNE_SNDFILE
#include <sndfile.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace attune {
namespace {

constexpr size_t kMaxFrames = size_t{1} << 27;  // 46 minutes at 48 kHz
constexpr sf_count_t kBlockFrames = 4096;

// A file in memory.
struct Source {
  std::span<const std::byte> bytes;
  sf_count_t at = 0;
};

sf_count_t source_size(void* user) { return std::ssize(static_cast<Source*>(user)->bytes); }

sf_count_t source_tell(void* user) { return static_cast<Source*>(user)->at; }

sf_count_t source_seek(sf_count_t offset, int whence, void* user) {
  auto* source = static_cast<Source*>(user);
  const sf_count_t from = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? source->at
                                               : std::ssize(source->bytes);
  return source->at = std::clamp<sf_count_t>(from + offset, 0, std::ssize(source->bytes));
}

sf_count_t source_read(void* into, sf_count_t count, void* user) {
  auto* source = static_cast<Source*>(user);
  count = std::clamp<sf_count_t>(count, 0, std::ssize(source->bytes) - source->at);
  std::copy_n(source->bytes.data() + source->at, count, static_cast<std::byte*>(into));
  source->at += count;
  return count;
}

sf_count_t source_write(const void*, sf_count_t, void*) { return 0; }

using Decoder = std::unique_ptr<SNDFILE, int (*)(SNDFILE*)>;

// Of what was just opened.
Status check_opened(std::string_view path, const Decoder& decoder, const SF_INFO& info) {
  if (!decoder)
    return file_error(path,
                      "is no sound file that libsndfile reads (%s); convert it to WAV or FLAC",
                      sf_strerror(nullptr));
  if (info.channels < 1 || info.samplerate < 1 || info.samplerate > kMaxSampleRate)
    return file_error(path, "%d channels at %d Hz; convert it to WAV or FLAC", info.channels,
                      info.samplerate);
  return Status::ok();
}

}  // namespace

std::span<const std::string_view> sndfile_extensions() {
  static constexpr std::string_view kExtensions[] = {".flac", ".ogg", ".oga",  ".opus", ".mp3",
                                                     ".aiff", ".aif", ".aifc", ".au",   ".snd"};
  return kExtensions;
}

Status decode_by_sndfile(std::string_view path, std::span<const std::byte> file,
                         const ReadLimits& limits, Audio* audio) {
  Source source{file};
  SF_VIRTUAL_IO io{source_size, source_seek, source_read, source_write, source_tell};
  SF_INFO info{};
  const Decoder decoder(sf_open_virtual(&io, SFM_READ, &info, &source), &sf_close);
  ATTUNE_RETURN_IF_ERROR(check_opened(path, decoder, info));
  const auto channels = static_cast<size_t>(info.channels);
  audio->sample_rate = info.samplerate;
  audio->samples.clear();
  std::vector<double> block(static_cast<size_t>(kBlockFrames) * channels);
  while (const sf_count_t read = sf_readf_double(decoder.get(), block.data(), kBlockFrames)) {
    const size_t samples = audio->samples.size() + static_cast<size_t>(read);
    if (samples > kMaxFrames)
      return file_error(path, "more than %zu samples a channel; cut it into clips", kMaxFrames);
    if (samples > limits.input_bytes / sizeof(float))
      return too_many_bytes(path, samples * sizeof(float), limits);
    for (size_t i = 0; i < static_cast<size_t>(read); ++i)
      ATTUNE_RETURN_IF_ERROR(append_frame(path, {&block[i * channels], channels}, audio));
  }
  if (audio->samples.empty())
    return file_error(path, "holds no sample; remove it or record it anew");
  return Status::ok();
}

Status read_length_by_sndfile(const std::string& path, SoundLength* length) {
  SF_INFO info{};
  const Decoder decoder(sf_open(path.c_str(), SFM_READ, &info), &sf_close);
  ATTUNE_RETURN_IF_ERROR(check_opened(path, decoder, info));
  *length = {info.samplerate, static_cast<uint64_t>(std::max<sf_count_t>(info.frames, 0)), false};
  return Status::ok();
}

}  // namespace attune

#else

namespace attune {

std::span<const std::string_view> sndfile_extensions() { return {}; }

Status decode_by_sndfile(std::string_view path, std::span<const std::byte>, const ReadLimits&,
                         Audio*) {
  return file_error(
      path,
      "is no WAV of PCM, float, A-law or mu-law; convert it to one, or build with libsndfile");
}

Status read_length_by_sndfile(const std::string& path, SoundLength*) {
  return decode_by_sndfile(path, {}, {}, nullptr);
}

}  // namespace attune

#endif
