#include "bench/peers/onednn/loops.h"

#include <algorithm>
#include <cmath>

namespace onednn_peer {
namespace {

constexpr float kLearningRate = 1e-4f;
constexpr float kMomentum = 0.9f;
constexpr int64_t kStrip = 16;  // channels that are summed side by side

}  // namespace

void update(float* w, float* v, const float* dw, size_t n) {
#pragma omp parallel for simd
  for (size_t i = 0; i < n; ++i) {
    v[i] = kMomentum * v[i] + dw[i];
    w[i] -= kLearningRate * v[i];
  }
}

float cross_entropy(const float* logits, const std::vector<float>& labels, float* gradient,
                    int64_t n, int64_t classes) {
  float loss = 0;
  for (int64_t i = 0; i < n; ++i, logits += classes, gradient += classes) {
    const float most = *std::max_element(logits, logits + classes);
    float sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += gradient[c] = std::exp(logits[c] - most);
    const float factor = 1.0f / (sum * static_cast<float>(n));
    for (int64_t c = 0; c < classes; ++c) gradient[c] *= factor;
    const auto label = static_cast<int64_t>(labels[static_cast<size_t>(i)]);
    gradient[label] -= 1.0f / static_cast<float>(n);
    loss += std::log(sum) - (logits[label] - most);
  }
  return loss / static_cast<float>(n);
}

void bias_gradient(const dnnl::memory& dy, float* sums) {
  const auto desc = dy.get_desc().data;
  const auto& layout = desc.format_desc.blocking;
  const bool flat = desc.ndims == 2;
  const int64_t n = desc.dims[0], channels = desc.dims[1];
  const int64_t pixels = flat ? 1 : desc.dims[2] * desc.dims[3];
  const int64_t pixel_stride = flat ? 0 : layout.strides[3];
  // Channels that lie side by side, and how far apart such blocks are: NHWC is one block.
  const bool nhwc = layout.inner_nblks == 0 && layout.strides[1] == 1;
  const int64_t block = nhwc ? channels : layout.inner_nblks == 0 ? 1 : layout.inner_blks[0];
  const auto* from = static_cast<const float*>(dy.get_data_handle());
  const int64_t strip = std::min(kStrip, block);
#pragma omp parallel for
  for (int64_t first = 0; first < channels; first += strip) {
    const int64_t width = std::min(strip, channels - first);
    const float* start = from + first / block * layout.strides[1] + first % block;
    float sum[kStrip] = {};
    for (int64_t i = 0; i < n; ++i)
      for (int64_t p = 0; p < pixels; ++p) {
        const float* row = start + i * layout.strides[0] + p * pixel_stride;
#pragma omp simd
        for (int64_t c = 0; c < width; ++c) sum[c] += row[c];
      }
    std::copy_n(sum, width, sums + first);
  }
}

}  // namespace onednn_peer
