#include <algorithm>
#include <cmath>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

// Batch normalisation with frozen statistics: an affine function of each channel.
namespace attune::reference {
namespace {

constexpr int64_t kChannelTile = 64;
constexpr int64_t kRowBlock = 256;

// Calls f(first channel, channels, first row, end row) for every block of [rows, channels].
template <class F>
void for_blocks(const KernelArgs& args, int64_t rows, int64_t channels, int64_t block, F&& f) {
  const int64_t row_blocks = div_up(rows, block);
  args.pool->parallel_for(
      div_up(channels, kChannelTile) * row_blocks, 1, [&](int64_t task, int64_t) {
        const int64_t c = task / row_blocks * kChannelTile;
        const int64_t row = task % row_blocks * block;
        f(c, std::min(kChannelTile, channels - c), row, std::min(row + block, rows));
      });
}

int64_t row_count(const Shape& shape) { return shape.product(0, shape.rank - 1); }

template <class T>
T reciprocal_deviation(T variance, double epsilon) {
  return T(1) / std::sqrt(variance + static_cast<T>(epsilon));
}

// Calls f(from, to, factor, first channel, channels) for runs of input 0 and output 0, with
// factor[j] = gamma / sqrt(var + epsilon) of channel first + j.
template <class T, class F>
void scale_channels(const KernelArgs& args, const T* gamma, const T* var, F&& f) {
  const double epsilon = args.attributes<BatchNormAttrs>().epsilon;
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const int64_t channels = shape.last();
  for_blocks(args, row_count(shape), channels, kRowBlock,
             [&](int64_t c, int64_t width, int64_t row, int64_t end) {
               T factor[kChannelTile];
               for (int64_t j = 0; j < width; ++j)
                 factor[j] = gamma[c + j] * reciprocal_deviation(var[c + j], epsilon);
               for (; row < end; ++row)
                 f(x + row * channels + c, y + row * channels + c, factor, c, width);
             });
}

}  // namespace

// y = (x - mean) * gamma / sqrt(var + epsilon) + beta
template <class T>
void batch_norm(const KernelArgs& args) {
  const T* beta = args.input(2).as<T>();
  const T* mean = args.input(3).as<T>();
  scale_channels<T>(args, args.input(1).as<T>(), args.input(4).as<T>(),
                    [=](const T* s, T* t, const T* factor, int64_t c, int64_t width) {
                      for (int64_t j = 0; j < width; ++j)
                        t[j] = (s[j] - mean[c + j]) * factor[j] + beta[c + j];
                    });
}
ATTUNE_INSTANTIATE(batch_norm)

// dx = dy * gamma / sqrt(var + epsilon)
template <class T>
void batch_norm_grad_input(const KernelArgs& args) {
  scale_channels<T>(args, args.input(1).as<T>(), args.input(2).as<T>(),
                    [](const T* s, T* t, const T* factor, int64_t, int64_t width) {
                      for (int64_t j = 0; j < width; ++j) t[j] = s[j] * factor[j];
                    });
}
ATTUNE_INSTANTIATE(batch_norm_grad_input)

// dgamma = sum over all axes but the last of dy * (x - mean), divided by sqrt(var + epsilon)
template <class T>
void batch_norm_grad_gamma(const KernelArgs& args) {
  const double epsilon = args.attributes<BatchNormAttrs>().epsilon;
  const T* x = args.input(0).as<T>();
  const T* dy = args.input(1).as<T>();
  const T* mean = args.input(2).as<T>();
  const T* var = args.input(3).as<T>();
  T* dgamma = args.output(0).as<T>();
  const Shape& shape = args.input(0).shape;
  const int64_t channels = shape.last(), rows = row_count(shape);
  // All rows in one block: a channel is one sum.
  for_blocks(args, std::max<int64_t>(rows, 1), channels, std::max<int64_t>(rows, 1),
             [&](int64_t c, int64_t width, int64_t, int64_t) {
               T sum[kChannelTile] = {};
               for (int64_t row = 0; row < rows; ++row) {
                 const T* s = x + row * channels + c;
                 const T* t = dy + row * channels + c;
                 for (int64_t j = 0; j < width; ++j) sum[j] += t[j] * (s[j] - mean[c + j]);
               }
               for (int64_t j = 0; j < width; ++j)
                 dgamma[c + j] = sum[j] * reciprocal_deviation(var[c + j], epsilon);
             });
}
ATTUNE_INSTANTIATE(batch_norm_grad_gamma)

}  // namespace attune::reference
