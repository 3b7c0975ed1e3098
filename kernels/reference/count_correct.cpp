#include <algorithm>

#include "kernels/reference/table.h"

namespace attune::reference {
namespace {

// Whether the first largest logit is at the label. A NaN logit, or a label that is no class, is
// never correct.
template <class T>
bool is_correct(const T* logits, int64_t classes, int32_t label) {
  if (label < 0 || label >= classes) return false;
  const T own = logits[label];
  for (int64_t i = 0; i < label; ++i)
    if (!(logits[i] < own)) return false;
  for (int64_t i = label; i < classes; ++i)
    if (!(logits[i] <= own)) return false;
  return true;
}

}  // namespace

// In one thread: it is little work, and a sum in a fixed order.
template <class T>
void count_correct(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const T* logits = args.input(0).as<T>();
  const int32_t* labels = args.input(1).as<int32_t>();
  const T* weights = args.input(2).as<T>();
  T correct = 0;
  for (int64_t n = 0; n < shape[0]; ++n)
    if (is_correct(logits + n * shape[1], shape[1], labels[n])) correct += weights[n];
  *args.output(0).as<T>() = correct;
}
ATTUNE_INSTANTIATE(count_correct)

template <class T>
void count_agreeing(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t classes = shape[1];
  const T* weights = args.input(2).as<T>();
  T agreeing = 0;
  for (int64_t n = 0; n < shape[0]; ++n) {
    const T* targets = args.input(1).as<T>() + n * classes;
    const auto label = static_cast<int32_t>(std::max_element(targets, targets + classes) - targets);
    if (is_correct(args.input(0).as<T>() + n * classes, classes, label)) agreeing += weights[n];
  }
  *args.output(0).as<T>() = agreeing;
}
ATTUNE_INSTANTIATE(count_agreeing)

}  // namespace attune::reference
