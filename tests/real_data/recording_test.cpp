// What other microphones record: the quickstart's words at 48 kHz, with hiss that no model hears.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <numbers>
#include <random>

#include "engine/io/file.h"
#include "engine/io/resample.h"
#include "engine/io/wav.h"
#include "graph/import/model.h"
#include "graph/ir/error.h"
#include "tests/real_data/support.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

namespace fs = std::filesystem;
constexpr double kPi = std::numbers::pi;

bool have_speech() {
  if (std::system("command -v espeak-ng >/dev/null") == 0) return true;
  MESSAGE("skipped: there is no espeak-ng to speak");
  return false;
}

void speak(const std::string& folder, int takes, int first) {
  const std::string command = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/speak.sh '" + folder +
                              "' it+f3 " + std::to_string(takes) + " " + std::to_string(first);
  REQUIRE(std::system(command.c_str()) == 0);
}

std::vector<float> read_at_48k(const std::string& path) {
  std::vector<std::byte> file;
  throw_if_error(read_file(path, {}, &file));
  WavHeader header;
  throw_if_error(parse_wav_header(path, file, file.size(), &header));
  Audio audio;
  throw_if_error(read_wav(path, file, header, &audio));
  return resample(audio.samples, audio.sample_rate, 48000, 0,
                  resampled_size(audio.samples.size(), audio.sample_rate, 48000));
}

// The noise of a room, as a synthesised voice is followed by zeros, and tones from 9 to 23 kHz,
// which together are about as loud as the speech.
void add_noise(std::vector<float>* samples, std::mt19937* random) {
  std::uniform_real_distribution<double> uniform;
  for (float& sample : *samples) sample += static_cast<float>(0.004 * (uniform(*random) - 0.5));
  for (int tone = 0; tone < 200; ++tone) {
    const double step = 2 * kPi * (9000 + 14000 * uniform(*random)) / 48000;
    const double phase = 2 * kPi * uniform(*random);
    for (size_t i = 0; i < samples->size(); ++i)
      (*samples)[i] += static_cast<float>(0.01 * std::sin(step * static_cast<double>(i) + phase));
  }
}

// Every third sample behind a filter from the textbook: a sinc that cuts at 7.6 kHz, Hann's window.
std::vector<float> third_of_rate(const std::vector<float>& in) {
  constexpr int kReach = 300;
  std::vector<double> filter;
  for (int k = -kReach; k <= kReach; ++k) {
    const double cut = 7600.0 / 48000;
    const double sinc = k == 0 ? 2 * cut : std::sin(2 * kPi * cut * k) / (kPi * k);
    filter.push_back(sinc * (0.5 + 0.5 * std::cos(kPi * k / kReach)));
  }
  std::vector<float> out;
  for (int i = 0; i < std::ssize(in); i += 3) {
    double sum = 0;
    for (int k = -kReach; k <= kReach; ++k)
      if (i + k >= 0 && i + k < std::ssize(in))
        sum += filter[static_cast<size_t>(k + kReach)] * double{in[static_cast<size_t>(i + k)]};
    out.push_back(static_cast<float>(sum));
  }
  return out;
}

Bytes as_wav(const std::vector<float>& samples, int rate) {
  std::vector<int16_t> rounded;
  for (float sample : samples)
    rounded.push_back(static_cast<int16_t>(std::lround(32767 * std::clamp(sample, -1.0f, 1.0f))));
  return wav16(rounded, rate);
}

}  // namespace

TEST_CASE("words recorded at 48 kHz with hiss are recognised as if resampled beforehand") {
  if (!have_speech()) return;
  const TempFolder folder, recorded;
  speak(folder.path("train"), 3, 0);
  speak(folder.path("test"), 6, 3);
  std::mt19937 random(1);
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    if (!entry.is_regular_file()) continue;
    std::vector<float> recording = read_at_48k(entry.path());
    for (float& sample : recording) sample *= 0.4f;
    add_noise(&recording, &random);
    const std::string name = fs::relative(entry.path(), folder.path());
    recorded.write("hissing/" + name, as_wav(recording, 48000));
    recorded.write("resampled/" + name, as_wav(third_of_rate(recording), 16000));
  }

  const fs::path example = fs::path(ATTUNE_SOURCE_DIR) / "examples" / "keyword_spotting";
  CompileOptions options;
  options.scheme = "bias:8";
  std::ifstream words(example / "keywords.txt");
  for (std::string word; std::getline(words, word);) options.class_names.push_back(word);
  options.preprocess.front_end = FrontEnd::mfcc;
  Learner learner(*load_model(example / "kws.onnx"), options);
  learner.train(*learner.open(recorded.path("resampled/train")), 30, 0.005);
  const double resampled = learner.accuracy(*learner.open(recorded.path("resampled/test")));
  const double hissing = learner.accuracy(*learner.open(recorded.path("hissing/test")));
  MESSAGE("resampled beforehand ", resampled, " %, hissing ", hissing, " %");
  CHECK(resampled >= 90);
  CHECK(std::abs(hissing - resampled) <= 2);
}

}  // namespace attune::test
