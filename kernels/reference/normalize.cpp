#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void normalize(const KernelArgs& args) {
  const uint8_t* x = args.input(0).as<uint8_t>();
  const T* scale = args.input(1).as<T>();
  const T* offset = args.input(2).as<T>();
  T* y = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const int64_t channels = shape.last();
  for_tiles(args, shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin, c = begin % channels; i < end; ++i) {
      y[i] = static_cast<T>(x[i]) * scale[c] + offset[c];
      if (++c == channels) c = 0;
    }
  });
}
ATTUNE_INSTANTIATE(normalize)

}  // namespace attune::reference
