#include "engine/io/resample.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numbers>
#include <numeric>

namespace attune {
namespace {

// A Kaiser window's design (Kaiser 1974; scipy.signal.kaiserord): a stop band 80 dB down and a
// transition from 0.9 to 1 of the lower rate's half. Distances are in samples of the lower rate.
constexpr double kCutoff = 0.95;
constexpr double kBeta = 0.1102 * (80 - 8.7);
constexpr int kReach = 50;  // (80 - 7.95) / (2.285 * 0.1 pi) / 2
// Between the steps of the table the filter is interpolated, with errors below -100 dB.
constexpr int kSteps = 256;

// The modified Bessel function of order 0.
double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > sum * 1e-17; ++k) {
    term *= x * x / (4.0 * k * k);
    sum += term;
  }
  return sum;
}

// The right half of the filter, and a zero behind it.
using Table = std::array<double, kReach * kSteps + 2>;

Table make_table() {
  Table table{};
  table[0] = kCutoff;
  for (int i = 1; i <= kReach * kSteps; ++i) {
    const double x = static_cast<double>(i) / kSteps;
    const double sinc = std::sin(std::numbers::pi * kCutoff * x) / (std::numbers::pi * x);
    const double inside = std::max(0.0, 1 - x * x / (kReach * kReach));
    table[i] = sinc * bessel_i0(kBeta * std::sqrt(inside)) / bessel_i0(kBeta);
  }
  return table;
}

double filter_at(const Table& table, double distance) {
  const double step = std::abs(distance) * kSteps;
  if (step >= kReach * kSteps) return 0;
  const auto low = static_cast<size_t>(step);
  return table[low] + (step - static_cast<double>(low)) * (table[low + 1] - table[low]);
}

// In four sums, as one would wait for each addition.
double dot(const double* taps, const float* in, size_t count) {
  double sums[4] = {};
  size_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (size_t j = 0; j < 4; ++j) sums[j] += taps[i + j] * in[i + j];
  for (; i < count; ++i) sums[0] += taps[i] * in[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

uint64_t resampled_size(uint64_t samples, int32_t from_rate, int32_t to_rate) {
  assert(from_rate > 0 && to_rate > 0);
  const uint64_t from = static_cast<uint64_t>(from_rate), to = static_cast<uint64_t>(to_rate);
  return (samples * to + from - 1) / from;
}

std::vector<float> resample(std::span<const float> in, int32_t from_rate, int32_t to_rate,
                            uint64_t first, uint64_t count) {
  assert(first + count <= resampled_size(in.size(), from_rate, to_rate));
  static const Table table = make_table();
  const int64_t divisor = std::gcd(from_rate, to_rate);
  const int64_t from = from_rate / divisor, to = to_rate / divisor;
  const auto size = static_cast<int64_t>(in.size()), begin = static_cast<int64_t>(first);
  const int64_t end = begin + static_cast<int64_t>(count);
  const double scale = std::min(1.0, static_cast<double>(to) / static_cast<double>(from));
  const auto reach = static_cast<int64_t>(std::ceil(kReach / scale));

  std::vector<float> out(count);
  std::vector<double> taps;
  // Outputs that are `to` apart lie `from` inputs apart, and equally between them: one set of taps.
  for (int64_t phase = begin; phase < std::min(end, begin + to); ++phase) {
    const int64_t base = phase * from / to;
    const double fraction = static_cast<double>(phase * from % to) / static_cast<double>(to);
    const int64_t last_base = base + (end - 1 - phase) / to * from;
    // Those of inputs that exist.
    const int64_t low = std::max(-reach, -last_base), high = std::min(reach + 1, size - 1 - base);
    taps.clear();
    for (int64_t k = low; k <= high; ++k)
      taps.push_back(scale * filter_at(table, (static_cast<double>(k) - fraction) * scale));
    for (int64_t i = phase, at = base; i < end; i += to, at += from) {
      const int64_t left = std::max(low, -at), right = std::min(high, size - 1 - at);
      out[static_cast<size_t>(i - begin)] =
          static_cast<float>(dot(taps.data() + (left - low), in.data() + (at + left),
                                 static_cast<size_t>(right - left + 1)));
    }
  }
  return out;
}

}  // namespace attune
