#include "engine/io/mfcc.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <numbers>

#include "tests/support/files.h"

namespace attune::test {
namespace {

// Integer arithmetic, so that mfcc_reference.py starts from the same bits.
std::vector<float> signal(int64_t samples) {
  std::vector<float> x;
  for (int64_t i = 0; i < samples; ++i)
    x.push_back(static_cast<float>((i * i * 7 + i * 31) % 2001 - 1000) / 1024.0f);
  return x;
}

std::vector<float> features(const MfccPreprocess& config, const std::vector<float>& samples) {
  REQUIRE(check_mfcc_preprocess(config));
  Mfcc mfcc(config);
  std::vector<float> out(static_cast<size_t>(mfcc.frames() * mfcc.coefficients()), NAN);
  mfcc.compute(samples, out);
  return out;
}

// The front end from its description, step by step and with the slow Fourier transform.
std::vector<double> slow_features(const MfccPreprocess& config, std::vector<float> samples) {
  constexpr double kPi = std::numbers::pi;
  samples.resize(static_cast<size_t>(config.samples));
  double peak = 0;
  for (float sample : samples) peak = std::max(peak, std::abs(double{sample}));
  if (!config.normalize_peak || peak == 0) peak = 1;
  const auto mel = [](double hz) { return 1127 * std::log(1 + hz / 700); };
  const double low = mel(config.low_hz), high = mel(config.high_hz);

  std::vector<double> out;
  for (int start = 0; start + config.frame_length <= config.samples; start += config.frame_step) {
    std::vector<double> bands(static_cast<size_t>(config.mel_bands), 0.0);
    for (int bin = 1; bin <= config.fft_size / 2; ++bin) {
      double real = 0, imaginary = 0;
      for (int i = 0; i < config.frame_length; ++i) {
        const double window = 0.5 - 0.5 * std::cos(2 * kPi * i / config.frame_length);
        const double value = samples[static_cast<size_t>(start + i)] / peak * window;
        const double angle = 2 * kPi * ((int64_t{bin} * i) % config.fft_size) / config.fft_size;
        real += value * std::cos(angle);
        imaginary -= value * std::sin(angle);
      }
      const double magnitude = std::hypot(real, imaginary);
      const double m = mel(double(bin) * config.sample_rate / config.fft_size);
      for (int b = 0; b < config.mel_bands; ++b) {
        const double left = low + (high - low) * b / (config.mel_bands + 1);
        const double centre = low + (high - low) * (b + 1) / (config.mel_bands + 1);
        const double right = low + (high - low) * (b + 2) / (config.mel_bands + 1);
        const double weight =
            std::min((m - left) / (centre - left), (right - m) / (right - centre));
        bands[static_cast<size_t>(b)] += std::max(0.0, weight) * magnitude;
      }
    }
    for (int k = 0; k < config.coefficients; ++k) {
      double sum = 0;
      for (int b = 0; b < config.mel_bands; ++b)
        sum += std::log(bands[static_cast<size_t>(b)] + double{config.log_offset}) *
               std::cos(kPi * k * (b + 0.5) / config.mel_bands);
      out.push_back(sum * std::sqrt(2.0 / config.mel_bands));
    }
  }
  return out;
}

// Float output of double arithmetic: half a unit in the last place, and a little for the sums.
void check_close(const std::vector<float>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(got[i] - expected[i]) <= 1e-7 * std::abs(expected[i]) + 1e-8);
  }
}

TEST_CASE("MFCC gives the numbers of the NumPy reference") {
  struct Row {
    int frame, coefficient;
    double value;
  };
  constexpr Row kRows[] = {{0, 0, 25.7249217},   {0, 1, -3.62336929},  {0, 9, 0.743145899},
                           {7, 3, 0.250983091},  {23, 5, 0.620490334}, {46, 0, 23.7774396},
                           {46, 9, 0.369692155}, {48, 0, -123.569683}};
  const std::vector<float> out = features({}, signal(15000));
  REQUIRE(out.size() == 490);
  for (const Row& row : kRows) {
    CAPTURE(row.frame);
    CHECK(std::abs(out[static_cast<size_t>(row.frame * 10 + row.coefficient)] - row.value) <=
          1e-7 * std::abs(row.value));
  }
}

TEST_CASE("MFCC gives the numbers of a slow Fourier transform") {
  MfccPreprocess small;
  small.sample_rate = 8000;
  small.samples = 700;
  small.frame_length = 200;
  small.frame_step = 130;
  small.fft_size = 256;
  small.mel_bands = 13;
  small.low_hz = 100;
  small.high_hz = 4000;  // half the rate: the last bin takes part
  small.coefficients = 13;
  check_close(features(small, signal(700)), slow_features(small, signal(700)));
  check_close(features(small, signal(333)), slow_features(small, signal(333)));

  MfccPreprocess loud = small;
  loud.normalize_peak = false;
  check_close(features(loud, signal(700)), slow_features(loud, signal(700)));

  MfccPreprocess usual;
  usual.samples = 1440;  // four frames of the usual front end
  check_close(features(usual, signal(1440)), slow_features(usual, signal(1440)));

  MfccPreprocess tiny;  // one frame, one sample longer than nothing
  tiny.samples = tiny.frame_length = tiny.frame_step = 2;
  tiny.fft_size = 2;
  tiny.mel_bands = tiny.coefficients = 1;
  tiny.low_hz = 0;
  tiny.high_hz = 8000;
  check_close(features(tiny, signal(2)), slow_features(tiny, signal(2)));
}

TEST_CASE("MFCC cuts a long clip before it looks for the peak") {
  std::vector<float> longer = signal(20000);
  longer[18000] = 100;
  CHECK(features({}, longer) == features({}, signal(16000)));
}

TEST_CASE("MFCC does not depend on the volume") {
  std::vector<float> quiet = signal(16000);
  for (float& sample : quiet) sample *= 0x1p-10f;
  CHECK(features({}, quiet) == features({}, signal(16000)));
}

TEST_CASE("silence gives finite features") {
  for (const size_t samples : {size_t{0}, size_t{1}, size_t{16000}}) {
    const std::vector<float> out = features({}, std::vector<float>(samples, 0.0f));
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % 10 == 0)
        CHECK(out[i] == doctest::Approx(40 * std::log(1e-6) * std::sqrt(2.0 / 40)));
      else
        CHECK(std::abs(out[i]) < 1e-4);
    }
  }
}

TEST_CASE("the smallest and the largest float give finite features") {
  for (const float peak :
       {std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()}) {
    const std::vector<float> out = features({}, {0.0f, peak, -peak, peak});
    for (float value : out) CHECK(std::isfinite(value));
  }
}

TEST_CASE("impossible MFCC front ends are refused") {
  const auto error = [](auto change) {
    MfccPreprocess config;
    change(config);
    return std::string(check_mfcc_preprocess(config).message());
  };
  CHECK(error([](auto&) {}) == "");
  CHECK(contains(error([](auto& c) { c.sample_rate = 0; }), "sample rate 0"));
  CHECK(contains(error([](auto& c) { c.samples = 479; }), "479 samples"));
  CHECK(contains(error([](auto& c) { c.frame_step = 0; }), "0 apart"));
  CHECK(contains(error([](auto& c) { c.frame_length = -1; }), "frames of -1"));
  CHECK(contains(error([](auto& c) { c.fft_size = 256; }), "fft_size 256"));
  CHECK(contains(error([](auto& c) { c.fft_size = 500; }), "fft_size 500"));
  CHECK(contains(error([](auto& c) { c.mel_bands = 0; }), "0 mel bands"));
  CHECK(contains(error([](auto& c) { c.coefficients = 41; }), "41 coefficients"));
  CHECK(contains(error([](auto& c) { c.high_hz = 8001; }), "8001 Hz"));
  CHECK(contains(error([](auto& c) { c.low_hz = 4000; }), "4000 to 4000"));
  CHECK(contains(error([](auto& c) { c.low_hz = NAN; }), "nan"));
  CHECK(contains(error([](auto& c) { c.log_offset = 0; }), "log_offset 0"));
}

TEST_CASE("Speech Commands give finite features, twice the same") {
  const std::string root = ATTUNE_SOURCE_DIR "/../shared/data/speech_commands/base";
  if (!std::filesystem::exists(root)) {
    MESSAGE("skipped: no ../shared/data/speech_commands");
    return;
  }
  std::vector<std::string> words;
  REQUIRE(list_class_folders(root, &words));
  CHECK(words.size() == 12);
  const DatasetRequest request = mfcc_request(words);
  const std::unique_ptr<Dataset> once = open(root, request), again = open(root, request);
  CHECK(once->size() == 579);
  for (int64_t i = 0; i < once->size(); i += 29) {
    CAPTURE(once->describe(i));
    const std::vector<float> out = input_of<float>(*once, i, 490);
    for (float value : out) CHECK(std::isfinite(value));
    CHECK(out == input_of<float>(*again, i, 490));
    CHECK(out == input_of<float>(*once, i, 490));  // now from the cache
    const int32_t label = class_of(*once, i, 490 * sizeof(float));
    CHECK(contains(once->describe(i), "/" + words[static_cast<size_t>(label)] + "/"));
  }
}

}  // namespace
}  // namespace attune::test
