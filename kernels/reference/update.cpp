#include "kernels/reference/indexed.h"
#include "kernels/reference/table.h"
#include "kernels/reference/update_step.h"

// The optimizers.
namespace attune::reference {
namespace {

// Where w's elements lie that dw is the gradient of.
template <class T, class Attrs>
IndexedAxis updated_slices(const KernelArgs& args) {
  return {args.output(0).shape, args.attributes<Attrs>().axis, args.input(3)};
}

}  // namespace

template <class T>
void sgd(const KernelArgs& args) {
  const SgdStep<T> step(args);
  const T* dw = args.input(1).as<T>();
  T* w = args.output(0).as<T>();
  for_slices(args, updated_slices<T, SgdAttrs>(args), args.input(1).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i) step(dw[narrow + i], w[wide + i]);
             });
}
ATTUNE_INSTANTIATE(sgd)

template <class T>
void momentum(const KernelArgs& args) {
  const MomentumStep<T> step(args);
  const T* dw = args.input(1).as<T>();
  T* w = args.output(0).as<T>();
  T* velocity = args.output(1).as<T>();
  for_slices(args, updated_slices<T, MomentumAttrs>(args), args.input(1).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i)
                 step(dw[narrow + i], w[wide + i], velocity[narrow + i]);
             });
}
ATTUNE_INSTANTIATE(momentum)

template <class T>
void adam(const KernelArgs& args) {
  const AdamStep<T> step(args);
  const T* dw = args.input(1).as<T>();
  T* w = args.output(0).as<T>();
  T* m = args.output(1).as<T>();
  T* v = args.output(2).as<T>();
  for_slices(args, updated_slices<T, AdamAttrs>(args), args.input(1).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i)
                 step(dw[narrow + i], w[wide + i], m[narrow + i], v[narrow + i]);
             });
}
ATTUNE_INSTANTIATE(adam)

}  // namespace attune::reference
