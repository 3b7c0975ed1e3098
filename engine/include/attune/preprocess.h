#pragma once

#include <cstdint>

namespace attune {

// How raw data becomes the model's input. Given once at compile time, carried in the plan, applied
// by the readers, so that the device cannot differ from the host.
enum class FrontEnd : uint8_t { none = 0, image = 1, mfcc = 2 };
enum class Resize : uint8_t {
  stretch = 0,      // to width x height, ignoring the aspect ratio
  center_crop = 1,  // the shorter side to `resize_shorter`, then the middle width x height
};

// As Pillow resizes (and torchvision, by default): the filter grows with the factor of shrinking.
enum class Interpolation : uint8_t {
  bilinear_aliased = 0,  // between two neighbours, however much is shrunk; what older plans mean
  bilinear = 1,
  bicubic = 2,
};

// Images reach the session as bytes [height, width, channels]; the plan computes
// byte * scale[c] + offset[c].
struct ImagePreprocess {
  int32_t width = 0, height = 0;
  int32_t channels = 3;  // 1 or 3; a grey image fills three equal channels, colour becomes
                         // luma (0.299 R + 0.587 G + 0.114 B) where 1 is asked for
  Resize resize = Resize::stretch;
  int32_t resize_shorter = 0;  // pixels, for center_crop
  Interpolation interpolation = Interpolation::bilinear;
  bool bgr = false;  // channel order blue, green, red
  float scale[3] = {1, 1, 1};
  float offset[3] = {0, 0, 0};
};

// Which part of a clip that is longer than MfccPreprocess::samples is used.
enum class ClipWindow : uint8_t {
  first = 0,
  centre = 1,
  loudest = 2,  // with the most energy at the file's own rate; of equal ones the first
};

// Mono PCM to `frames` x `coefficients` mel-frequency cepstral coefficients; `frames` follows from
// samples, frame_length and frame_step: 1 + (samples - frame_length) / frame_step.
struct MfccPreprocess {
  int32_t sample_rate = 16000;  // Hz; files of another rate are resampled, band-limited
  int32_t samples = 16000;      // of a longer clip `window`; zero-padded at the end
  ClipWindow window = ClipWindow::first;
  bool normalize_peak = true;                    // divide by the largest magnitude
  int32_t frame_length = 480, frame_step = 320;  // samples
  int32_t fft_size = 512;                        // a power of two >= frame_length
  int32_t mel_bands = 40;  // triangles linear in mel, mel = 1127 ln(1 + f / 700), bin 0 left out
  float low_hz = 20, high_hz = 4000;
  float log_offset = 1e-6f;  // ln(x + log_offset) of the magnitude's band sums
  int32_t coefficients =
      10;  // the first ones of the DCT-II, every one scaled by sqrt(2 / mel_bands)
};

struct Preprocess {
  FrontEnd front_end = FrontEnd::none;
  ImagePreprocess image;
  MfccPreprocess mfcc;
};

}  // namespace attune
