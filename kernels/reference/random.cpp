#include <cmath>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {
namespace {

// The finisher of splitmix64 (Steele, Lea and Flood, 2014).
uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

// Uniform in [0, 1), of 24 bits: the same in both precisions.
double uniform(uint64_t key, uint64_t place) {
  return static_cast<double>(mix(key + place * 0x9e3779b97f4a7c15u) >> 40) / (1 << 24);
}

}  // namespace

// Of the normal distribution by Box and Muller, a place taking two numbers.
template <class T>
void random(const KernelArgs& args) {
  const auto attrs = args.attributes<RandomAttrs>();
  const auto step = static_cast<uint64_t>(static_cast<uint32_t>(*args.input(0).as<int32_t>()));
  const uint64_t key = mix(mix(static_cast<uint32_t>(attrs.seed) + 1) ^ step);
  T* y = args.output(0).as<T>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto place = static_cast<uint64_t>(i);
      if (!attrs.normal) {
        y[i] = static_cast<T>(uniform(key, place));
        continue;
      }
      constexpr double kTurn = 6.283185307179586;
      const double radius = std::sqrt(-2 * std::log(1 - uniform(key, 2 * place)));
      y[i] = static_cast<T>(radius * std::cos(kTurn * uniform(key, 2 * place + 1)));
    }
  });
}
ATTUNE_INSTANTIATE(random)

}  // namespace attune::reference
