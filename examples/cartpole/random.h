#pragma once

#include <cstdint>
#include <random>

// The same numbers on every machine.
class Uniform {
 public:
  explicit Uniform(uint64_t seed) : bits_(seed) {}
  double operator()(double low, double high) {
    return low + (high - low) * static_cast<double>(bits_() >> 11) * 0x1p-53;
  }

 private:
  std::mt19937_64 bits_;
};
