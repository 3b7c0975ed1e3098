#pragma once

#include <cstddef>
#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

// What is no primitive: loops over memory, in as many threads as OpenMP has.
namespace onednn_peer {

// SGD with momentum over `n` floats: v = momentum v + dw, w -= rate v.
void update(float* w, float* v, const float* dw, size_t n);

// The mean cross entropy of n rows, and its gradient.
float cross_entropy(const float* logits, const std::vector<float>& labels, float* gradient,
                    int64_t n, int64_t classes);

// Sums dy over everything but axis 1, in whatever layout it has.
void bias_gradient(const dnnl::memory& dy, float* sums);

}  // namespace onednn_peer
