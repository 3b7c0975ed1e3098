#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "engine/io/sound.h"

namespace attune {

// The extensions of what libsndfile reads besides WAV; none where Attune is built without it.
std::span<const std::string_view> sndfile_extensions();

// `path` is for messages. What a file decodes to is limited, however little it is compressed to: to
// 2^27 samples a channel, too.
Status decode_by_sndfile(std::string_view path, std::span<const std::byte> file,
                         const ReadLimits& limits, Audio* audio);
Status read_length_by_sndfile(const std::string& path, SoundLength* length);

}  // namespace attune
