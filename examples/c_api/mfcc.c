#include "mfcc.h"

#include <math.h>
#include <stdlib.h>

static const double kPi = 3.14159265358979323846;

static double mel(double hz) { return 1127 * log(1 + hz / 700); }

long mfcc_frames(const attune_preprocess* how) {
  return 1 + (how->samples - how->frame_length) / how->frame_step;
}

/* In place; `n` is a power of two. */
static void fft(double* re, double* im, long n) {
  long i, j = 0, size;
  for (i = 1; i < n; ++i) {
    long bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      const double r = re[i], m = im[i];
      re[i] = re[j], im[i] = im[j];
      re[j] = r, im[j] = m;
    }
  }
  for (size = 2; size <= n; size *= 2)
    for (i = 0; i < n; i += size)
      for (j = 0; j < size / 2; ++j) {
        const double c = cos(2 * kPi * j / size), s = -sin(2 * kPi * j / size);
        double *r = re + i + j, *m = im + i + j;
        const double odd_r = r[size / 2] * c - m[size / 2] * s;
        const double odd_m = r[size / 2] * s + m[size / 2] * c;
        r[size / 2] = r[0] - odd_r, m[size / 2] = m[0] - odd_m;
        r[0] += odd_r, m[0] += odd_m;
      }
}

int mfcc(const attune_preprocess* how, const float* samples, long count, float* features) {
  const long n = how->fft_size, bands = how->mel_bands;
  const double low = mel(how->low_hz), spacing = (mel(how->high_hz) - low) / (bands + 1);
  double *re = calloc((size_t)n * 2 + (size_t)bands, sizeof(double)), *im = re + n, *logs = im + n;
  double gain = 1, peak = 0;
  long frame, i, b, k;
  if (!re) return -1;
  if (count > how->samples) count = how->samples; /* window 0: the first ones */
  for (i = 0; i < count; ++i) peak = fmax(peak, fabs(samples[i]));
  if (how->normalize_peak && peak > 0) gain = 1 / peak;
  for (frame = 0; frame < mfcc_frames(how); ++frame) {
    for (i = 0; i < n; ++i) {
      const long at = frame * how->frame_step + i;
      re[i] = i < how->frame_length && at < count
                  ? samples[at] * gain * (0.5 - 0.5 * cos(2 * kPi * i / how->frame_length))
                  : 0;
      im[i] = 0;
    }
    fft(re, im, n);
    for (b = 0; b < bands; ++b) {
      const double centre = low + spacing * (b + 1);
      double sum = 0;
      for (i = 1; i <= n / 2; ++i) {
        const double weight = 1 - fabs(mel((double)i * how->sample_rate / n) - centre) / spacing;
        if (weight > 0) sum += weight * sqrt(re[i] * re[i] + im[i] * im[i]);
      }
      logs[b] = log(sum + how->log_offset);
    }
    for (k = 0; k < how->coefficients; ++k) {
      double sum = 0;
      for (b = 0; b < bands; ++b) sum += logs[b] * cos(kPi * k * (b + 0.5) / bands);
      features[frame * how->coefficients + k] = (float)(sum * sqrt(2.0 / bands));
    }
  }
  free(re);
  return 0;
}
