#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace attune {

// How many samples a clip has at another rate: ceil(samples * to_rate / from_rate).
uint64_t resampled_size(uint64_t samples, int32_t from_rate, int32_t to_rate);

// Outputs `first` .. first + count - 1 of `in` at another rate; they must lie inside its resampled
// size. Output i stands at i * from_rate / to_rate of `in`, without delay; what lies before and
// behind `in` is silence. Up to 0.9 of the lower rate's half the response is flat within 0.01 dB;
// from that half on everything is 80 dB down. Rates must be positive.
std::vector<float> resample(std::span<const float> in, int32_t from_rate, int32_t to_rate,
                            uint64_t first, uint64_t count);

}  // namespace attune
