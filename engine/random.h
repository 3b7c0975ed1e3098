#pragma once

#include <cstdint>

namespace attune {

// What each generator draws from a seed decides weights, shuffles and arenas: their numbers are the
// same on every device, and never change.

// splitmix64 (Steele, Lea and Flood, 2014).
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }

 private:
  uint64_t state_;
};

// Knuth's linear congruences (MMIX), of which the upper bits count: where a draw must cost next to
// nothing.
class LinearCongruences {
 public:
  // In [0, bound); 1 <= bound <= 2^31, smaller numbers a little more often.
  uint64_t below(uint64_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % bound;
  }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15u;
};

// xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. The numbers follow from
// (seed, stream) alone; streams of one seed are independent, so that epoch 7 can be shuffled
// without having shuffled the six before it.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream) {
    SplitMix64 mix(SplitMix64(seed).next() ^ stream);
    for (uint64_t& word : state_) word = mix.next();
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound), without bias; bound >= 1.
  uint64_t below(uint64_t bound) {
    const uint64_t reject = (0 - bound) % bound;  // 2^64 mod bound
    for (;;) {
      const uint64_t number = next();
      if (number >= reject) return number % bound;
    }
  }

 private:
  static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

  uint64_t state_[4];
};

// Puts 0 .. count - 1 into `order`, shuffled (Fisher and Yates).
template <class Int>
void shuffled_order(Random random, int64_t count, Int* order) {
  for (int64_t i = 0; i < count; ++i) order[i] = static_cast<Int>(i);
  for (int64_t i = count - 1; i > 0; --i) {
    const int64_t j = static_cast<int64_t>(random.below(static_cast<uint64_t>(i) + 1));
    const Int kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

}  // namespace attune
