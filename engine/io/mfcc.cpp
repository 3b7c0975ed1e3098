#include "engine/io/mfcc.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numbers>
#include <unsupported/Eigen/FFT>

namespace attune {
namespace {

constexpr int32_t kMaxSamples = 1 << 26;
constexpr int32_t kMaxFft = 1 << 16;
constexpr int32_t kMaxBands = 1024;

double mel(double hz) { return 1127.0 * std::log(1.0 + hz / 700.0); }

}  // namespace

Status check_mfcc_preprocess(const MfccPreprocess& config) {
  if (config.sample_rate < 1 || config.sample_rate > (1 << 20))
    return Status::error("MFCC front end: sample rate %d Hz is outside 1 .. %d; compile anew",
                         config.sample_rate, 1 << 20);
  if (config.frame_length < 1 || config.frame_step < 1 || config.samples < config.frame_length ||
      config.samples > kMaxSamples)
    return Status::error(
        "MFCC front end: frames of %d samples, %d apart, do not fit a clip of %d samples; compile "
        "the plan with other values",
        config.frame_length, config.frame_step, config.samples);
  if (config.fft_size < config.frame_length || config.fft_size > kMaxFft || config.fft_size < 2 ||
      !std::has_single_bit(static_cast<uint32_t>(config.fft_size)))
    return Status::error(
        "MFCC front end: fft_size %d; compile the plan with a power of two from frame_length (%d) "
        "to %d",
        config.fft_size, config.frame_length, kMaxFft);
  if (config.mel_bands < 1 || config.mel_bands > kMaxBands || config.coefficients < 1 ||
      config.coefficients > config.mel_bands)
    return Status::error(
        "MFCC front end: %d coefficients of %d mel bands; compile the plan with 1 <= coefficients "
        "<= mel_bands <= %d",
        config.coefficients, config.mel_bands, kMaxBands);
  // Negated so that NaN is an error, too.
  if (!(config.low_hz >= 0 && config.low_hz < config.high_hz &&
        config.high_hz <= static_cast<float>(config.sample_rate) / 2))
    return Status::error(
        "MFCC front end: bands from %g to %g Hz; compile the plan with 0 <= low_hz < high_hz <= "
        "half the sample rate (%g)",
        config.low_hz, config.high_hz, config.sample_rate / 2.0);
  if (!(config.log_offset > 0 && std::isfinite(config.log_offset)))
    return Status::error("MFCC front end: log_offset %g; compile the plan with a positive one",
                         config.log_offset);
  return Status::ok();
}

// Its tables are made where a size is first asked for.
struct Mfcc::Fft : Eigen::FFT<double> {
  Fft() { SetFlag(HalfSpectrum); }
};

Mfcc::~Mfcc() = default;

Mfcc::Mfcc(const MfccPreprocess& config) : config_(config), fft_(std::make_unique<Fft>()) {
  assert(check_mfcc_preprocess(config).is_ok());
  frames_ = 1 + (config.samples - config.frame_length) / config.frame_step;
  constexpr double kPi = std::numbers::pi;

  window_.resize(config.frame_length);
  for (int32_t i = 0; i < config.frame_length; ++i)
    window_[i] = 0.5 - 0.5 * std::cos(2 * kPi * i / config.frame_length);

  const int32_t n = config.fft_size;
  frame_.resize(n);
  spectrum_.resize(n / 2 + 1);
  magnitudes_.resize(n / 2 + 1);
  fft_->fwd(spectrum_.data(), frame_.data(), n);

  const double low = mel(config.low_hz), high = mel(config.high_hz);
  const double spacing = (high - low) / (config.mel_bands + 1);
  bands_.resize(config.mel_bands);
  for (int32_t b = 0; b < config.mel_bands; ++b) {
    const double centre = low + spacing * (b + 1);
    for (int32_t bin = 1; bin <= n / 2; ++bin) {
      const double distance =
          std::abs(mel(static_cast<double>(bin) * config.sample_rate / n) - centre);
      const double weight = 1 - distance / spacing;
      if (weight <= 0) continue;
      if (bands_[b].weights.empty()) bands_[b].first_bin = bin;
      bands_[b].weights.push_back(weight);
    }
  }

  dct_.resize(static_cast<size_t>(config.coefficients) * config.mel_bands);
  const double scale = std::sqrt(2.0 / config.mel_bands);
  for (int32_t k = 0; k < config.coefficients; ++k)
    for (int32_t b = 0; b < config.mel_bands; ++b)
      dct_[static_cast<size_t>(k) * config.mel_bands + b] =
          scale * std::cos(kPi * k * (b + 0.5) / config.mel_bands);
  logarithms_.resize(config.mel_bands);
}

void Mfcc::band_logarithms() {
  for (size_t bin = 1; bin < spectrum_.size(); ++bin) {
    const double re = spectrum_[bin].real(), im = spectrum_[bin].imag();
    magnitudes_[bin] = std::sqrt(re * re + im * im);
  }
  for (int32_t b = 0; b < config_.mel_bands; ++b) {
    const Band& band = bands_[b];
    double sum = 0;
    for (size_t i = 0; i < band.weights.size(); ++i)
      sum += band.weights[i] * magnitudes_[band.first_bin + i];
    logarithms_[b] = std::log(sum + double{config_.log_offset});
  }
}

void Mfcc::compute(std::span<const float> samples, std::span<float> out) {
  assert(out.size() == static_cast<size_t>(frames_) * config_.coefficients);
  samples = samples.first(std::min<size_t>(samples.size(), config_.samples));
  double gain = 1;
  if (config_.normalize_peak) {
    float peak = 0;
    for (float sample : samples) peak = std::max(peak, std::abs(sample));
    if (peak > 0) gain = 1 / double{peak};
  }
  for (int32_t frame = 0; frame < frames_; ++frame) {
    const size_t start = static_cast<size_t>(frame) * config_.frame_step;
    const auto heard = static_cast<int32_t>(
        std::min<size_t>(config_.frame_length, samples.size() - std::min(start, samples.size())));
    for (int32_t i = 0; i < heard; ++i) frame_[i] = samples[start + i] * gain * window_[i];
    std::fill(frame_.begin() + heard, frame_.begin() + config_.frame_length, 0.0);
    fft_->fwd(spectrum_.data(), frame_.data(), config_.fft_size);
    band_logarithms();
    for (int32_t k = 0; k < config_.coefficients; ++k) {
      const double* row = dct_.data() + static_cast<size_t>(k) * config_.mel_bands;
      double sum = 0;
      for (int32_t b = 0; b < config_.mel_bands; ++b) sum += row[b] * logarithms_[b];
      out[static_cast<size_t>(frame) * config_.coefficients + k] = static_cast<float>(sum);
    }
  }
}

}  // namespace attune
