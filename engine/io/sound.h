#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/preprocess.h"
#include "attune/read_limits.h"
#include "engine/io/wav.h"

namespace attune {

// The extensions (lower case, with dot) of the sound files that this build reads, and their names
// in a sentence: "WAV files".
std::vector<std::string_view> sound_extensions();
const char* sound_kind();

// Decodes a sound file by what it holds, not by its name; several channels become their mean. WAV
// is read here, on every device alike; what else libsndfile reads, where it is built in. An error
// where the samples take more than limits.input_bytes.
Status decode_sound(std::string_view path, std::span<const std::byte> file,
                    const ReadLimits& limits, Audio* audio);

// What the header of a sound file says, without decoding it.
struct SoundLength {
  int32_t sample_rate = 0;  // Hz
  uint64_t frames = 0;
  bool cut_short = false;  // there is less than the header claims
};
Status read_sound_length(const std::string& path, SoundLength* length);

// What whoever gave these files should know: how many are longer than the model listens, and how
// many are cut short. Looks at their headers alone.
std::vector<std::string> sound_notes(const MfccPreprocess& config,
                                     const std::vector<std::string>& paths);

// The part of `audio` that the front end looks at, at its rate: at most config.samples.
std::vector<float> clip_of(const MfccPreprocess& config, const Audio& audio);

}  // namespace attune
