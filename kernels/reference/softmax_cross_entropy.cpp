#include <algorithm>
#include <cmath>
#include <limits>

#include "attune/thread_pool.h"
#include "kernels/reference/loss.h"
#include "kernels/reference/softmax_row.h"
#include "kernels/reference/table.h"

// Labels are data: one outside of the classes must not read outside of the logits. It matches no
// class, so its loss is NaN and shows; in the gradient it is an all-zero target.
namespace attune::reference {

template <class T>
void softmax_cross_entropy(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], classes = shape[1];
  const T* logits = args.input(0).as<T>();
  const int32_t* labels = args.input(1).as<int32_t>();
  const T* weights = args.input(2).as<T>();
  T* probabilities = args.output(1).as<T>();
  T* losses = static_cast<T*>(args.workspace);

  args.pool->parallel_for(examples, row_tile(classes), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T* x = logits + row * classes;
      const T largest = row_max(x, classes);
      const T sum =
          softmax_row(x, largest, classes, probabilities ? probabilities + row * classes : nullptr);
      const int32_t label = labels[row];
      losses[row] = label >= 0 && label < classes ? std::log(sum) - (x[label] - largest)
                                                  : std::numeric_limits<T>::quiet_NaN();
    }
  });
  *args.output(0).as<T>() = weighted_mean(losses, weights, examples);
}
ATTUNE_INSTANTIATE(softmax_cross_entropy)

// dlogits[n,c] = (probabilities[n,c] - (c == labels[n])) * weights[n] / sum of weights
template <class T>
void softmax_cross_entropy_grad(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t examples = shape[0], classes = shape[1];
  const T* probabilities = args.input(0).as<T>();
  const int32_t* labels = args.input(1).as<int32_t>();
  const T* weights = args.input(2).as<T>();
  T* dlogits = args.output(0).as<T>();
  const T total = weight_sum(weights, examples);

  args.pool->parallel_for(examples, row_tile(classes), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T factor = gradient_factor(weights[row], total);
      const T* p = probabilities + row * classes;
      T* d = dlogits + row * classes;
      if (factor == T(0)) {
        std::fill_n(d, classes, T(0));
        continue;
      }
      const int32_t label = labels[row];
      for (int64_t i = 0; i < classes; ++i) d[i] = (p[i] - T(i == label)) * factor;
    }
  });
}
ATTUNE_INSTANTIATE(softmax_cross_entropy_grad)

}  // namespace attune::reference
