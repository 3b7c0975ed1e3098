#include <algorithm>
#include <cmath>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

// Batch normalisation by the statistics of the batch, of which only examples of a weight count.
namespace attune::reference {
namespace {

constexpr int64_t kChannelTile = 16;

template <class T>
int64_t count_present(const Tensor& weights) {
  const T* w = weights.as<T>();
  return std::count_if(w, w + weights.shape[0], [](T weight) { return weight != T(0); });
}

// An image, or a vector, of each of several examples.
template <class T>
struct Rows {
  const T* weights;
  int64_t examples, positions, channels;
  int64_t values;  // that examples of a weight have in each channel

  Rows(const Shape& x, const Tensor& weight)
      : weights(weight.as<T>()),
        examples(x[0]),
        positions(x.product(1, x.rank - 1)),
        channels(x.last()),
        values(count_present<T>(weight) * positions) {}

  // Calls f(offset of the row's channel `c`, whether it counts) for every row.
  template <class F>
  void each(int64_t c, F&& f) const {
    for (int64_t n = 0; n < examples; ++n)
      for (int64_t i = 0; i < positions; ++i)
        f((n * positions + i) * channels + c, weights[n] != T(0));
  }
};

template <class F>
void for_channels(const KernelArgs& args, int64_t channels, F&& f) {
  args.pool->parallel_for(div_up(channels, kChannelTile), 1, [&](int64_t task, int64_t) {
    const int64_t c = task * kChannelTile;
    f(c, std::min(kChannelTile, channels - c));
  });
}

// Sums in double: a channel of an image has many values.
template <class T>
void find_statistics(const Rows<T>& rows, const T* x, int64_t c, int64_t width, T* mean, T* var) {
  double sum[kChannelTile] = {}, middle[kChannelTile], squares[kChannelTile] = {};
  rows.each(c, [&](int64_t at, bool counts) {
    for (int64_t j = 0; counts && j < width; ++j) sum[j] += static_cast<double>(x[at + j]);
  });
  const double values = static_cast<double>(rows.values);
  for (int64_t j = 0; j < width; ++j) middle[j] = sum[j] / values;
  rows.each(c, [&](int64_t at, bool counts) {
    for (int64_t j = 0; counts && j < width; ++j) {
      const double d = static_cast<double>(x[at + j]) - middle[j];
      squares[j] += d * d;
    }
  });
  for (int64_t j = 0; j < width; ++j) {
    mean[j] = static_cast<T>(middle[j]);
    var[j] = static_cast<T>(squares[j] / values);
  }
}

}  // namespace

// y = (x - mean) * gamma / sqrt(var + epsilon) + beta
template <class T>
void batch_norm_train(const KernelArgs& args) {
  const T epsilon = static_cast<T>(args.attributes<BatchNormAttrs>().epsilon);
  const T* x = args.input(0).as<T>();
  const T* gamma = args.input(1).as<T>();
  const T* beta = args.input(2).as<T>();
  const T* running_mean = args.input(3).as<T>();
  const T* running_var = args.input(4).as<T>();
  const Rows<T> rows(args.input(0).shape, args.input(5));
  T* y = args.output(0).as<T>();
  T* batch_mean = args.output(1).as<T>();
  T* batch_var = args.output(2).as<T>();
  for_channels(args, rows.channels, [&](int64_t c, int64_t width) {
    T mean[kChannelTile], var[kChannelTile], factor[kChannelTile];
    if (rows.values > 1) {
      find_statistics(rows, x, c, width, mean, var);
    } else {
      std::copy_n(running_mean + c, width, mean);
      std::copy_n(running_var + c, width, var);
    }
    if (batch_mean) std::copy_n(mean, width, batch_mean + c);
    if (batch_var) std::copy_n(var, width, batch_var + c);
    for (int64_t j = 0; j < width; ++j)
      factor[j] = gamma[c + j] * (T(1) / std::sqrt(var[j] + epsilon));
    rows.each(c, [&](int64_t at, bool) {
      for (int64_t j = 0; j < width; ++j)
        y[at + j] = (x[at + j] - mean[j]) * factor[j] + beta[c + j];
    });
  });
}
ATTUNE_INSTANTIATE(batch_norm_train)

// With s = 1 / sqrt(var + epsilon) and n values in a channel,
// dx = gamma * s * (dy - (dbeta + (x - mean) * s * dgamma) / n); 0 for an example of weight 0.
// Where n < 2 the statistics did not come from the batch: dx = gamma * s * dy.
template <class T>
void batch_norm_train_grad_input(const KernelArgs& args) {
  const T epsilon = static_cast<T>(args.attributes<BatchNormAttrs>().epsilon);
  const T* dy = args.input(0).as<T>();
  const T* x = args.input(1).as<T>();
  const T* gamma = args.input(2).as<T>();
  const T* mean = args.input(3).as<T>();
  const T* var = args.input(4).as<T>();
  const T* dgamma = args.input(5).as<T>();
  const T* dbeta = args.input(6).as<T>();
  const Rows<T> rows(args.input(0).shape, args.input(7));
  T* dx = args.output(0).as<T>();
  const T share = rows.values > 1 ? T(1) / static_cast<T>(rows.values) : T(0);
  for_channels(args, rows.channels, [&](int64_t c, int64_t width) {
    T factor[kChannelTile], slope[kChannelTile], middle[kChannelTile];
    for (int64_t j = 0; j < width; ++j) {
      const T s = T(1) / std::sqrt(var[c + j] + epsilon);
      factor[j] = gamma[c + j] * s;
      slope[j] = s * dgamma[c + j] * share;
      middle[j] = dbeta[c + j] * share;
    }
    rows.each(c, [&](int64_t at, bool counts) {
      for (int64_t j = 0; j < width; ++j)
        dx[at + j] =
            counts ? factor[j] * (dy[at + j] - middle[j] - (x[at + j] - mean[c + j]) * slope[j])
                   : T(0);
    });
  });
}
ATTUNE_INSTANTIATE(batch_norm_train_grad_input)

// As torch.nn.BatchNorm, whose momentum is 1 - ours, and None with a step. The variance is
// unbiased: times n / (n - 1).
template <class T>
void running_statistics(const KernelArgs& args) {
  const auto& attrs = args.attributes<RunningStatisticsAttrs>();
  const double n = static_cast<double>(count_present<T>(args.input(4)) * attrs.positions);
  const Tensor step = args.input(5);
  const double taken = step ? 1.0 / *step.as<int32_t>() : 1 - attrs.momentum;
  const double unbiased = n > 1 ? n / (n - 1) : 1;
  const auto average = [&](int i, double factor) {
    const T* batch = args.input(2 + i).as<T>();
    T* running = args.output(i).as<T>();
    for (int64_t c = 0; c < args.output(i).shape.elements(); ++c)
      running[c] = static_cast<T>((1 - taken) * static_cast<double>(running[c]) +
                                  taken * (factor * static_cast<double>(batch[c])));
  };
  average(0, 1);
  average(1, unbiased);
}
ATTUNE_INSTANTIATE(running_statistics)

}  // namespace attune::reference
