#include "kernels/attrs.h"
#include "kernels/reference/indexed.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void gather(const KernelArgs& args) {
  const IndexedAxis slices(args.input(0).shape, args.attributes<AxisAttrs>().axis, args.input(1));
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  for_slices(args, slices, args.output(0).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i) y[narrow + i] = x[wide + i];
             });
}
ATTUNE_INSTANTIATE(gather)

}  // namespace attune::reference
