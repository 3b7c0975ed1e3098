#include "engine/io/resample.h"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <numbers>

namespace attune::test {
namespace {

constexpr int32_t kRates[] = {8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000};
constexpr double kPi = std::numbers::pi;

std::vector<float> tone(double hz, int32_t rate, int64_t samples) {
  std::vector<float> x;
  for (int64_t i = 0; i < samples; ++i)
    x.push_back(static_cast<float>(std::sin(2 * kPi * hz * static_cast<double>(i) / rate)));
  return x;
}

std::vector<float> resampled(std::span<const float> in, int32_t from, int32_t to) {
  return resample(in, from, to, 0, resampled_size(in.size(), from, to));
}

// The complex amplitude at `hz` in the middle half: of sin(2 pi hz t), -i.
std::complex<double> amplitude_at(double hz, int32_t rate, const std::vector<float>& x) {
  std::complex<double> sum = 0;
  double weights = 0;
  for (size_t i = x.size() / 4; i < 3 * x.size() / 4; ++i) {
    const double at = static_cast<double>(i - x.size() / 4) / (static_cast<double>(x.size()) / 2);
    const double weight = 1 - std::cos(2 * kPi * at);
    sum += weight * double{x[i]} * std::polar(1.0, -2 * kPi * hz * static_cast<double>(i) / rate);
    weights += weight;
  }
  return 2.0 * sum / weights;
}

double decibels(double amplitude) { return 20 * std::log10(amplitude); }

TEST_CASE("between any two common rates, tones up to 0.9 of what fits keep loudness and place") {
  for (const int32_t from : kRates)
    for (const int32_t to : kRates)
      for (const double part : {0.1, 0.5, 0.8, 0.9}) {
        if (from == to) continue;
        CAPTURE(from);
        CAPTURE(to);
        CAPTURE(part);
        const double hz = part * std::min(from, to) / 2;
        const std::vector<float> out = resampled(tone(hz, from, from / 8), from, to);
        REQUIRE(out.size() == static_cast<size_t>((int64_t{from / 8} * to + from - 1) / from));
        const std::complex<double> amplitude = amplitude_at(hz, to, out);
        CHECK(std::abs(decibels(std::abs(amplitude))) < 0.01);
        CHECK(std::abs(amplitude - std::complex(0.0, -1.0)) < 0.002);
      }
}

TEST_CASE("what does not fit below the new rate's half is at least 80 dB down") {
  for (const int32_t from : kRates)
    for (const int32_t to : kRates)
      for (const double part : {1.0, 1.05, 1.125, 1.3, 1.9}) {
        const double hz = part * to / 2;
        if (hz >= from / 2.0) continue;
        CAPTURE(from);
        CAPTURE(to);
        CAPTURE(part);
        const std::vector<float> out = resampled(tone(hz, from, from / 8), from, to);
        double energy = 0;
        for (size_t i = out.size() / 4; i < 3 * out.size() / 4; ++i) energy += out[i] * out[i];
        const double level = std::sqrt(energy / (static_cast<double>(out.size()) / 2));
        CHECK(decibels(level / std::sqrt(0.5)) < -80);
      }
}

TEST_CASE("resampling gives the values of scipy.signal.resample_poly") {
  struct Row {
    int32_t from, to;
    size_t size, at;
    double values[4];
  };
  // scipy 1.17, its default window, of the signal below; up / down are to / from in lowest terms.
  const Row rows[] = {
      {48000, 16000, 134, 67, {-0.535223, -0.725205, -0.512690, -0.027772}},
      {44100, 16000, 146, 73, {-0.559319, -0.725258, -0.548220, -0.118982}},
      {22050, 16000, 291, 145, {-0.378026, -0.558993, -0.682110, -0.725050}},
      {8000, 16000, 800, 400, {-0.402604, -0.471716, -0.534840, -0.591157}},
      {11025, 48000, 1742, 871, {-0.410917, -0.443061, -0.474068, -0.503795}},
      {96000, 44100, 184, 92, {-0.440859, -0.673012, -0.713521, -0.537494}},
  };
  std::vector<float> in;
  for (int i = 0; i < 400; ++i)
    in.push_back(static_cast<float>(0.5 * std::sin(0.3 * i) + 0.25 * std::cos(0.11 * i)));
  for (const Row& row : rows) {
    CAPTURE(row.from);
    const std::vector<float> out = resampled(in, row.from, row.to);
    REQUIRE(out.size() == row.size);
    for (size_t i = 0; i < 4; ++i)  // whose own ripple is 0.02 dB
      CHECK(std::abs(out[row.at + i] - row.values[i]) < 0.0025 * 0.75);
  }
}

TEST_CASE("a part of the output is that part of all of it") {
  const std::vector<float> in = tone(700, 44100, 3000);
  for (const auto& [from, to] : {std::pair{44100, 16000}, {11025, 16000}, {48000, 16000}}) {
    const std::vector<float> whole = resampled(in, from, to);
    for (const size_t first : {size_t{0}, size_t{1}, size_t{317}, whole.size() - 40}) {
      const std::vector<float> part = resample(in, from, to, first, 40);
      for (size_t i = 0; i < part.size(); ++i) CHECK(std::abs(part[i] - whole[first + i]) < 1e-6f);
    }
  }
}

TEST_CASE("short clips and odd rates are resampled, too") {
  CHECK(resampled({}, 8000, 16000).empty());
  const std::vector<float> one{0.5f};
  CHECK(resampled(one, 44100, 16000).size() == 1);
  CHECK(resampled(one, 8000, 16000)[0] == doctest::Approx(0.475));  // the cutoff is at 0.95
  CHECK(resample(one, 1, 1 << 20, 0, 4).size() == 4);
  CHECK(resampled(std::vector<float>(1000, 0.5f), 1 << 20, 1).size() == 1);
  const std::vector<float> flat = resampled(std::vector<float>(2000, 0.5f), 16001, 16000);
  REQUIRE(flat.size() == 2000);
  for (size_t i = 100; i < 1900; ++i) CHECK(flat[i] == doctest::Approx(0.5).epsilon(1e-4));
}

}  // namespace
}  // namespace attune::test
