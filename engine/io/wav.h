#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "attune/status.h"

namespace attune {

// Mono samples in -1 .. 1 (floating-point files may exceed that).
struct Audio {
  int32_t sample_rate = 0;  // Hz
  std::vector<float> samples;
};

// Parses a RIFF WAVE file of PCM (8, 16, 24, 32 bits) or float (32, 64 bits) samples, plain or
// WAVE_FORMAT_EXTENSIBLE. Several channels become their mean. `path` is for messages. A file that
// is shorter than its header says, holds no sample, or a NaN or Inf, is an error.
Status parse_wav(std::string_view path, std::span<const std::byte> file, Audio* audio);

// Linear interpolation at i * from_rate / to_rate for the outputs that lie inside `in`, at most
// `max_samples` of them; what lies between the last sample and the end repeats that sample.
// Rates must be positive.
std::vector<float> resample_linear(std::span<const float> in, int32_t from_rate, int32_t to_rate,
                                   size_t max_samples);

}  // namespace attune
