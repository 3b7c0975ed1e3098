#include <algorithm>
#include <cmath>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/loss.h"
#include "kernels/reference/table.h"

// Losses of a number's error: prediction - target.
namespace attune::reference {
namespace {

// Splits the examples, of `size` elements each, among the threads.
template <class F>
void for_examples(const KernelArgs& args, int64_t examples, int64_t size, F&& f) {
  args.pool->parallel_for(examples, std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, size)),
                          f);
}

// The weighted mean over examples of the mean over an example's elements of `loss` of the error.
template <class T, class F>
void mean_error(const KernelArgs& args, F loss) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], size = shape.product(1, shape.rank);
  const T* prediction = args.input(0).as<T>();
  const T* target = args.input(1).as<T>();
  T* losses = static_cast<T*>(args.workspace);

  for_examples(args, examples, size, [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      T sum = 0;
      for (int64_t i = row * size; i < (row + 1) * size; ++i)
        sum += loss(prediction[i] - target[i]);
      losses[row] = sum / static_cast<T>(size);
    }
  });
  *args.output(0).as<T>() = weighted_mean(losses, args.input(2).as<T>(), examples);
}

// dprediction = twice * slope(error) * weight / (elements of an example * sum of weights)
template <class T, class F>
void mean_error_grad(const KernelArgs& args, T twice, F slope) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], size = shape.product(1, shape.rank);
  const T* prediction = args.input(0).as<T>();
  const T* target = args.input(1).as<T>();
  const T* weights = args.input(2).as<T>();
  T* d = args.output(0).as<T>();
  const T total = weight_sum(weights, examples);

  for_examples(args, examples, size, [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T factor = twice * gradient_factor(weights[row], total) / static_cast<T>(size);
      const int64_t begin = row * size;
      if (factor == T(0)) {
        std::fill_n(d + begin, size, T(0));
        continue;
      }
      for (int64_t i = begin; i < begin + size; ++i)
        d[i] = factor * slope(prediction[i] - target[i]);
    }
  });
}

}  // namespace

template <class T>
void mean_squared_error(const KernelArgs& args) {
  mean_error<T>(args, [](T error) { return error * error; });
}
ATTUNE_INSTANTIATE(mean_squared_error)

template <class T>
void mean_squared_error_grad(const KernelArgs& args) {
  mean_error_grad(args, T(2), [](T error) { return error; });
}
ATTUNE_INSTANTIATE(mean_squared_error_grad)

template <class T>
void mean_absolute_error(const KernelArgs& args) {
  mean_error<T>(args, [](T error) { return std::abs(error); });
}
ATTUNE_INSTANTIATE(mean_absolute_error)

// NaN stays NaN.
template <class T>
void mean_absolute_error_grad(const KernelArgs& args) {
  mean_error_grad(args, T(1), [](T error) {
    return error > T(0) ? T(1) : error < T(0) ? T(-1) : error;
  });
}
ATTUNE_INSTANTIATE(mean_absolute_error_grad)

template <class T>
void huber(const KernelArgs& args) {
  const T delta = static_cast<T>(args.attributes<HuberAttrs>().delta);
  mean_error<T>(args, [=](T error) {
    const T size = std::abs(error);
    return size > delta ? delta * (size - T(0.5) * delta) : T(0.5) * error * error;
  });
}
ATTUNE_INSTANTIATE(huber)

template <class T>
void huber_grad(const KernelArgs& args) {
  const T delta = static_cast<T>(args.attributes<HuberAttrs>().delta);
  mean_error_grad(args, T(1), [=](T error) { return clamp_value(error, -delta, delta); });
}
ATTUNE_INSTANTIATE(huber_grad)

}  // namespace attune::reference
