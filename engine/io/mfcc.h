#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "attune/preprocess.h"
#include "attune/status.h"

namespace attune {

// An error where `config` describes no front end that can be built.
Status check_mfcc_preprocess(const MfccPreprocess& config);

// Mel-frequency cepstral coefficients of one clip, computed in double. The tables and the scratch
// memory are made once; `compute` does not allocate. Not for use by several threads at once.
class Mfcc {
 public:
  // `config` must have been checked.
  explicit Mfcc(const MfccPreprocess& config);
  ~Mfcc();

  int32_t frames() const { return frames_; }
  int32_t coefficients() const { return config_.coefficients; }

  // `samples`: mono at config.sample_rate, cut or zero-padded at the end to config.samples.
  // Overwrites `out`, frames() x coefficients(). Silence gives finite numbers.
  void compute(std::span<const float> samples, std::span<float> out);

 private:
  void band_logarithms();

  struct Fft;
  // Triangle of one mel band: weights of FFT bins first_bin, first_bin + 1, ...
  struct Band {
    int32_t first_bin = 0;
    std::vector<double> weights;
  };

  MfccPreprocess config_;
  int32_t frames_ = 0;
  std::unique_ptr<Fft> fft_;
  std::vector<double> window_;  // periodic Hann, frame_length
  std::vector<Band> bands_;
  std::vector<double> dct_;                     // coefficients x mel_bands
  std::vector<double> frame_;                   // fft_size, zeros from frame_length on
  std::vector<std::complex<double>> spectrum_;  // fft_size / 2 + 1 bins
  std::vector<double> magnitudes_;              // of these bins
  std::vector<double> logarithms_;              // mel_bands
};

}  // namespace attune
