#include <algorithm>

#include "kernels/reference/elements.h"
#include "kernels/reference/loss.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void mean_squared_error(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], size = shape.product(1, shape.rank);
  const T* prediction = args.input(0).as<T>();
  const T* target = args.input(1).as<T>();
  T* losses = static_cast<T*>(args.workspace);

  args.pool->parallel_for(examples, std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, size)),
                          [=](int64_t row, int64_t end) {
                            for (; row < end; ++row) {
                              T sum = 0;
                              for (int64_t i = row * size; i < (row + 1) * size; ++i) {
                                const T error = prediction[i] - target[i];
                                sum += error * error;
                              }
                              losses[row] = sum / static_cast<T>(size);
                            }
                          });
  *args.output(0).as<T>() = weighted_mean(losses, args.input(2).as<T>(), examples);
}
ATTUNE_INSTANTIATE(mean_squared_error)

// dprediction = 2 * (prediction - target) * weight / (elements of an example * sum of weights)
template <class T>
void mean_squared_error_grad(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], size = shape.product(1, shape.rank);
  const T* prediction = args.input(0).as<T>();
  const T* target = args.input(1).as<T>();
  const T* weights = args.input(2).as<T>();
  T* d = args.output(0).as<T>();
  const T total = weight_sum(weights, examples);

  args.pool->parallel_for(examples, std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, size)),
                          [=](int64_t row, int64_t end) {
                            for (; row < end; ++row) {
                              const T factor = T(2) * gradient_factor(weights[row], total) /
                                               static_cast<T>(size);
                              const int64_t begin = row * size;
                              if (factor == T(0)) {
                                std::fill_n(d + begin, size, T(0));
                                continue;
                              }
                              for (int64_t i = begin; i < begin + size; ++i)
                                d[i] = factor * (prediction[i] - target[i]);
                            }
                          });
}
ATTUNE_INSTANTIATE(mean_squared_error_grad)

}  // namespace attune::reference
