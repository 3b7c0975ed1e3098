#include "engine/io/sound.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "engine/io/file.h"
#include "engine/io/resample.h"
#include "engine/io/sndfile.h"

namespace attune {
namespace {

constexpr size_t kHeadBytes = size_t{64} << 10;  // a WAV's samples start there at the latest

// The first of the `length` samples in a row that have the most energy; of equal ones, the first.
size_t loudest(std::span<const float> samples, size_t length) {
  const auto square = [&](size_t i) { return double{samples[i]} * double{samples[i]}; };
  double energy = 0, most = 0;
  for (size_t i = 0; i < length; ++i) energy += square(i);
  most = energy;
  size_t best = 0;
  for (size_t i = length; i < samples.size(); ++i) {
    energy += square(i) - square(i - length);
    if (energy > most) most = energy, best = i - length + 1;
  }
  return best;
}

}  // namespace

std::vector<std::string_view> sound_extensions() {
  std::vector<std::string_view> extensions{".wav", ".wave"};
  for (std::string_view extension : sndfile_extensions()) extensions.push_back(extension);
  return extensions;
}

const char* sound_kind() {
  return sndfile_extensions().empty() ? "WAV files (this build has no libsndfile for others)"
                                      : "WAV, FLAC, Ogg, MP3, AIFF or AU files";
}

Status decode_sound(std::string_view path, std::span<const std::byte> file,
                    const ReadLimits& limits, Audio* audio) {
  WavHeader header;
  const Status status = parse_wav_header(path, file, file.size(), &header);
  if (header.foreign) return decode_by_sndfile(path, file, limits, audio);
  if (status && header.frames > limits.input_bytes / sizeof(float))
    return too_many_bytes(path, header.frames * sizeof(float), limits);
  return status ? read_wav(path, file, header, audio) : status;
}

Status read_sound_length(const std::string& path, SoundLength* length) {
  ATTUNE_RETURN_IF_ERROR(check_regular_file(path));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return file_error(path, "cannot be opened");
  std::vector<std::byte> head(kHeadBytes);
  head.resize(std::fread(head.data(), 1, head.size(), file.get()));
  WavHeader header;
  const Status status = parse_wav_header(path, head, std::filesystem::file_size(path), &header);
  if (header.foreign) return read_length_by_sndfile(path, length);
  ATTUNE_RETURN_IF_ERROR(status);
  *length = {header.sample_rate, header.frames, header.cut_short};
  return Status::ok();
}

std::vector<float> clip_of(const MfccPreprocess& config, const Audio& audio) {
  const std::span<const float> samples = audio.samples;
  const uint64_t size = resampled_size(samples.size(), audio.sample_rate, config.sample_rate);
  const uint64_t count = std::min<uint64_t>(size, static_cast<uint64_t>(config.samples));
  uint64_t first = 0;
  if (config.window == ClipWindow::centre) first = (size - count) / 2;
  if (config.window == ClipWindow::loudest) {
    // Looked for at the file's rate, as all of it need not be resampled then.
    const uint64_t length = resampled_size(count, config.sample_rate, audio.sample_rate);
    const size_t start = loudest(samples, std::min<size_t>(length, samples.size()));
    first = std::min(resampled_size(start, audio.sample_rate, config.sample_rate), size - count);
  }
  if (audio.sample_rate != config.sample_rate)
    return resample(samples, audio.sample_rate, config.sample_rate, first, count);
  return {samples.begin() + static_cast<ptrdiff_t>(first),
          samples.begin() + static_cast<ptrdiff_t>(first + count)};
}

std::vector<std::string> sound_notes(const MfccPreprocess& config,
                                     const std::vector<std::string>& paths) {
  size_t longer = 0, cut_short = 0;
  for (const std::string& path : paths) {
    SoundLength length;
    if (!read_sound_length(path, &length)) continue;  // reading the file will say why
    const uint64_t size = resampled_size(length.frames, length.sample_rate, config.sample_rate);
    longer += size > static_cast<uint64_t>(config.samples);
    cut_short += length.cut_short;
  }
  const auto of_all = [&](size_t count) {
    return std::to_string(count) + " of " + std::to_string(paths.size()) + " clips ";
  };
  constexpr const char* kParts[] = {"first", "middle", "loudest"};  // in the order of ClipWindow
  std::vector<std::string> notes;
  if (longer > 0) {
    char seconds[32];
    std::snprintf(seconds, sizeof(seconds), "%.2f s", 1.0 * config.samples / config.sample_rate);
    notes.push_back(of_all(longer) + "last longer than the model's " + seconds + ": the " +
                    kParts[static_cast<size_t>(config.window)] + " " + seconds +
                    " of each are used");
    if (config.window == ClipWindow::first)
      notes.back() += "; compile with --preprocess mfcc:centre or mfcc:loudest for another part";
  }
  if (cut_short > 0)
    notes.push_back(of_all(cut_short) + "shorter than their headers say: what is there is used");
  return notes;
}

}  // namespace attune
