#pragma once

#include <cstdint>

// What losses and metrics share: a weight for each example. An example of weight 0 (one that fills
// up a last batch) counts for nothing, whatever it holds, NaN included.
namespace attune::reference {

template <class T>
T weight_sum(const T* weights, int64_t examples) {
  T sum = 0;
  for (int64_t n = 0; n < examples; ++n) sum += weights[n];
  return sum;
}

// The weighted mean of `losses`, in the order of the examples; 0 where the weights sum to 0.
template <class T>
T weighted_mean(const T* losses, const T* weights, int64_t examples) {
  const T total = weight_sum(weights, examples);
  if (total == T(0)) return 0;
  T sum = 0;
  for (int64_t n = 0; n < examples; ++n)
    if (weights[n] != T(0)) sum += weights[n] * losses[n];
  return sum / total;
}

// By what the gradient of example n's own loss is multiplied.
template <class T>
T gradient_factor(T weight, T total) {
  return weight == T(0) || total == T(0) ? T(0) : weight / total;
}

}  // namespace attune::reference
