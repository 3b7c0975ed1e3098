#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "attune/status.h"

namespace attune {

inline constexpr int32_t kMaxSampleRate = 1 << 20;  // Hz

// Mono samples in -1 .. 1 (floating-point files may exceed that).
struct Audio {
  int32_t sample_rate = 0;  // Hz
  std::vector<float> samples;
};

// Adds the mean of a frame's channels. An error where it is NaN or infinite. `path` is for
// messages.
Status append_frame(std::string_view path, std::span<const double> channels, Audio* audio);

// What a WAV's chunks say of its samples, and where these lie.
struct WavHeader {
  uint16_t coding = 0;  // WAVE_FORMAT_PCM, _IEEE_FLOAT, _ALAW or _MULAW
  uint16_t channels = 0;
  uint16_t sample_bytes = 0;
  int32_t sample_rate = 0;  // Hz
  uint64_t data_at = 0;     // bytes from the start of the file
  uint64_t frames = 0;      // that are in the file
  bool cut_short = false;   // the file claims more
  bool foreign = false;     // an error, as it is no WAV, or one of another coding
};

// Parses the header of a WAV of PCM (8 to 32 bits), float (32, 64 bits), A-law or mu-law samples,
// plain or WAVE_FORMAT_EXTENSIBLE, RIFF or RF64. `head` is the file's start, at least up to its
// samples. As libsndfile does, it believes the file's size rather than what the header claims:
// what writes into a pipe, or is stopped, leaves any number there.
Status parse_wav_header(std::string_view path, std::span<const std::byte> head, uint64_t file_bytes,
                        WavHeader* header);

// Reads the samples that `header` tells of. None, or one that is NaN or infinite, is an error.
Status read_wav(std::string_view path, std::span<const std::byte> file, const WavHeader& header,
                Audio* audio);

}  // namespace attune
