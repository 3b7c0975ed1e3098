#include <algorithm>
#include <cmath>

#include "attune/thread_pool.h"
#include "kernels/reference/loss.h"
#include "kernels/reference/softmax_row.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void soft_cross_entropy(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], classes = shape[1];
  const T* logits = args.input(0).as<T>();
  const T* targets = args.input(1).as<T>();
  T* probabilities = args.output(1).as<T>();
  T* losses = static_cast<T*>(args.workspace);

  args.pool->parallel_for(examples, row_tile(classes), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T *x = logits + row * classes, *target = targets + row * classes;
      const T largest = row_max(x, classes);
      const T log_sum = std::log(softmax_row(
          x, largest, classes, probabilities ? probabilities + row * classes : nullptr));
      T loss = 0;
      for (int64_t i = 0; i < classes; ++i) loss += target[i] * (log_sum - (x[i] - largest));
      losses[row] = loss;
    }
  });
  *args.output(0).as<T>() = weighted_mean(losses, args.input(2).as<T>(), examples);
}
ATTUNE_INSTANTIATE(soft_cross_entropy)

// dlogits[n,c] = (probabilities[n,c] * sum of targets[n] - targets[n,c]) * weights[n] / sum of
// weights
template <class T>
void soft_cross_entropy_grad(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], classes = shape[1];
  const T* probabilities = args.input(0).as<T>();
  const T* targets = args.input(1).as<T>();
  const T* weights = args.input(2).as<T>();
  T* dlogits = args.output(0).as<T>();
  const T total = weight_sum(weights, examples);

  args.pool->parallel_for(examples, row_tile(classes), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T factor = gradient_factor(weights[row], total);
      const T *p = probabilities + row * classes, *target = targets + row * classes;
      T* d = dlogits + row * classes;
      if (factor == T(0)) {
        std::fill_n(d, classes, T(0));
        continue;
      }
      T all = 0;
      for (int64_t i = 0; i < classes; ++i) all += target[i];
      for (int64_t i = 0; i < classes; ++i) d[i] = (p[i] * all - target[i]) * factor;
    }
  });
}
ATTUNE_INSTANTIATE(soft_cross_entropy_grad)

}  // namespace attune::reference
