#include "engine/io/sound.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "tests/support/encoded_sound.h"
#include "tests/support/files.h"
#include "tests/support/notes.h"

#ifdef ATTUNE_SNDFILE
#include <sndfile.h>

// Where an Ogg's header is damaged, libsndfile 1.2 leaks this.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:vorbis_info_init"; }
#endif

namespace attune::test {
namespace {

MfccPreprocess listener(int32_t rate, int32_t samples, ClipWindow window) {
  MfccPreprocess config;
  config.sample_rate = rate;
  config.samples = samples;
  config.window = window;
  return config;
}

std::vector<float> ramp(size_t samples) {
  std::vector<float> x(samples);
  std::iota(x.begin(), x.end(), 1.0f);
  return x;
}

TEST_CASE("of a longer clip the first, the middle or the loudest part is used") {
  const auto part = [](ClipWindow window, std::vector<float> samples) {
    return clip_of(listener(8000, 4, window), {8000, std::move(samples)});
  };
  CHECK(part(ClipWindow::first, ramp(9)) == std::vector<float>{1, 2, 3, 4});
  CHECK(part(ClipWindow::centre, ramp(9)) == std::vector<float>{3, 4, 5, 6});
  CHECK(part(ClipWindow::centre, ramp(8)) == std::vector<float>{3, 4, 5, 6});
  CHECK(part(ClipWindow::loudest, ramp(9)) == std::vector<float>{6, 7, 8, 9});
  CHECK(part(ClipWindow::loudest, {0, 0, 3, -5, 1, 1, 0, 2, 0}) == std::vector<float>{3, -5, 1, 1});
  CHECK(part(ClipWindow::loudest, std::vector<float>(9, 0.0f)) == std::vector<float>(4, 0.0f));
  for (const ClipWindow window : {ClipWindow::first, ClipWindow::centre, ClipWindow::loudest}) {
    CHECK(part(window, ramp(4)) == ramp(4));
    CHECK(part(window, ramp(2)) == ramp(2));
  }
}

TEST_CASE("the part is the same at another rate") {
  // Silence, then a tone from 1.2 to 1.7 s.
  std::vector<float> samples(48000 * 2, 0.0f);
  for (size_t i = 57600; i < 81600; ++i)
    samples[i] = static_cast<float>(std::sin(0.05 * static_cast<double>(i)));
  const auto rms = [](std::span<const float> x) {
    double sum = 0;
    for (float sample : x) sum += double{sample} * double{sample};
    return std::sqrt(sum / static_cast<double>(x.size()));
  };
  const Audio audio{48000, samples};
  const auto part = [&](ClipWindow window) {
    const std::vector<float> clip = clip_of(listener(16000, 8000, window), audio);
    REQUIRE(clip.size() == 8000);
    return clip;
  };
  CHECK(rms(part(ClipWindow::first)) < 1e-6);
  CHECK(rms(part(ClipWindow::loudest)) == doctest::Approx(std::sqrt(0.5)).epsilon(0.01));
  // From 0.75 to 1.25 s: the tone is its last tenth.
  const std::vector<float> centre = part(ClipWindow::centre);
  CHECK(rms(std::span(centre).first(7000)) < 1e-3);
  CHECK(rms(std::span(centre).last(700)) == doctest::Approx(std::sqrt(0.5)).epsilon(0.05));
}

TEST_CASE("notes count the clips that are longer than the model listens, and those cut short") {
  TempFolder folder;
  const Bytes longer = wav16(std::vector<int16_t>(8001, 1), 8000);
  const std::vector<std::string> paths{
      folder.write("a.wav", wav16(std::vector<int16_t>(8000, 1), 8000)),
      folder.write("b.wav", longer),
      folder.write("c.wav", wav16(std::vector<int16_t>(40000, 1), 16000)),
      folder.write("d.wav", first(longer, 2000)), folder.write("e.wav", "no sound")};
  const auto notes = sound_notes(listener(16000, 16000, ClipWindow::first), paths);
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] ==
        "2 of 5 clips last longer than the model's 1.00 s: the first 1.00 s of each are used; "
        "compile "
        "with --preprocess mfcc:centre or mfcc:loudest for another part");
  CHECK(notes[1] == "1 of 5 clips shorter than their headers say: what is there is used");
  CHECK(sound_notes(listener(16000, 16000, ClipWindow::loudest), paths)[0] ==
        "2 of 5 clips last longer than the model's 1.00 s: the loudest 1.00 s of each are used");
  CHECK(sound_notes(listener(16000, 16000, ClipWindow::first), {paths[0]}).empty());
}

TEST_CASE("data of sound tells its notes when it is opened") {
  TempFolder folder;
  folder.write("words/yes/a.wav", wav16(std::vector<int16_t>(16001, 1), 16000));
  folder.write("words/yes/b.wav", wav16(std::vector<int16_t>(16000, 1), 16000));
  folder.write("list.csv", "words/yes/a.wav,yes\n");
  const DatasetRequest request = mfcc_request({"no", "yes"});
  const std::string words = folder.path("words"), list = folder.path("list.csv");
  const std::unique_ptr<Dataset> folders = open(words, request), lines = open(list, request);
  REQUIRE(notes_of(*folders).size() == 1);
  CHECK(notes_of(*folders)[0].starts_with(words + ": 1 of 2 clips last longer"));
  REQUIRE(notes_of(*lines).size() == 1);
  CHECK(notes_of(*lines)[0].starts_with(list + ": 1 of 1 clips last longer"));
}

#ifdef ATTUNE_SNDFILE

struct Kind {
  const char* name;
  int format;
  double error;  // of a sample; what is lossy may be delayed, too
};
constexpr Kind kKinds[] = {{"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 1e-6},
                           {"b.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 1e-4},
                           {"c.au", SF_FORMAT_AU | SF_FORMAT_FLOAT, 1e-7},
                           {"d.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 0.05},
                           {"e.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 0.05},
                           {"f.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 0.05},
                           {"g.wav", SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 0.05},
                           {"h.wav", SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, 0.05},
                           {"i.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1e-7},
                           {"j.wav", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 1e-4}};

// Two channels whose mean is half a tone of 440 Hz.
std::vector<float> stereo_tone() {
  std::vector<float> x;
  for (int i = 0; i < 16000; ++i) {
    const double phase = 2 * std::numbers::pi * 440 * i / 16000;
    x.push_back(static_cast<float>(0.5 * std::sin(phase) + 0.1 * std::cos(phase)));
    x.push_back(static_cast<float>(0.5 * std::sin(phase) - 0.1 * std::cos(phase)));
  }
  return x;
}

TEST_CASE("FLAC, Ogg, MP3, AIFF, AU and compressed WAVs are decoded") {
  TempFolder folder;
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.name);
    const Bytes file = encoded(kind.format, 2, 16000, stereo_tone());
    Audio audio;
    const Status status = decode_sound(kind.name, file, {}, &audio);
    REQUIRE_MESSAGE(status.is_ok(), status.message());
    CHECK(audio.sample_rate == 16000);
    CHECK(std::abs(std::ssize(audio.samples) - 16000) < 2500);  // blocks are filled with silence
    double worst = 0;
    for (size_t i = 2000; i < 14000; ++i)
      worst = std::max(worst,
                       std::abs(audio.samples[i] - 0.5 * std::sin(2 * std::numbers::pi * 440 *
                                                                  static_cast<double>(i) / 16000)));
    CHECK(worst < kind.error);

    SoundLength length;
    REQUIRE(read_sound_length(folder.write(kind.name, file), &length));
    CHECK(length.sample_rate == 16000);
    CHECK(length.frames == audio.samples.size());
  }
}

TEST_CASE("class folders of any sound are read") {
  TempFolder folder;
  for (const Kind& kind : kKinds)
    folder.write(std::string("yes/") + kind.name, encoded(kind.format, 2, 16000, stereo_tone()));
  const std::unique_ptr<Dataset> data = open(folder.path(), mfcc_request({"no", "yes"}));
  REQUIRE(data->size() == static_cast<int64_t>(std::size(kKinds)));
  for (int64_t i = 0; i < data->size(); ++i)
    for (float value : input_of<float>(*data, i, 490)) CHECK(std::isfinite(value));
  DatasetRequest request = mfcc_request({"no", "yes"});
  request.labels_optional = true;
  CHECK(open_error(folder.path("yes/a.flac"), request) == "");
}

TEST_CASE("no sound that is cut short or damaged crashes the decoder") {
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.name);
    Bytes file = encoded(kind.format, 2, 16000, std::vector<float>(3000, 0.25f));
    for (size_t length = 0; length < file.size(); length += 1 + file.size() / 64) {
      Audio audio;
      const Status status = decode_sound(kind.name, first(file, length), {}, &audio);
      CHECK(status.is_ok() == !audio.samples.empty());
      for (float sample : audio.samples) REQUIRE(std::isfinite(sample));
    }
    for (size_t at = 0; at < std::min<size_t>(file.size(), 128); ++at) {
      file[at] ^= std::byte{0x81};
      Audio audio;
      (void)decode_sound(kind.name, file, {}, &audio);
      file[at] ^= std::byte{0x81};
    }
  }
}

TEST_CASE("what is no sound says so in one line") {
  Audio audio;
  Bytes text;
  put(&text, "once upon a time there was a file");
  CHECK(decode_sound("a.flac", text, {}, &audio).message() ==
        std::string("a.flac: is no sound file that libsndfile reads (Format not recognised.); "
                    "convert it to WAV or FLAC"));
  const Bytes nan = encoded(SF_FORMAT_AU | SF_FORMAT_FLOAT, 1, 16000, {0.0f, NAN});
  CHECK(contains(decode_sound("a.au", nan, {}, &audio).message(), "sample 1 is NaN"));
  CHECK(contains(
      decode_sound("a.au", encoded(SF_FORMAT_AU | SF_FORMAT_PCM_16, 1, 16000, {}), {}, &audio)
          .message(),
      "holds no sample"));
}

#endif

}  // namespace
}  // namespace attune::test
