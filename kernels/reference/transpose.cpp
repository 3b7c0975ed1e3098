#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/strided.h"
#include "kernels/reference/table.h"

namespace attune::reference {
namespace {

template <class T>
void move_elements(const KernelArgs& args) {
  const auto& attrs = args.attributes<TransposeAttrs>();
  const Shape& shape = args.output(0).shape;
  const Strides strides(args.input(0).shape);
  StridedLoop loop;
  for (int i = 0; i < shape.rank; ++i) loop.add(shape[i], strides.of[attrs.perm[i]], 0);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const int64_t step = loop.a_step();
  for_tiles(args, shape.elements(), [&](int64_t begin, int64_t end) {
    loop.for_runs(begin, end, [&](int64_t out, int64_t count, int64_t offset, int64_t) {
      const T* s = x + offset;
      for (int64_t i = 0; i < count; ++i) y[out + i] = s[i * step];
    });
  });
}
}  // namespace

// Of any elements: ids, too.
template <class T>
void transpose(const KernelArgs& args) {
  const DType dtype = args.input(0).dtype;
  dtype == DType::i32  ? move_elements<int32_t>(args)
  : dtype == DType::u8 ? move_elements<uint8_t>(args)
                       : move_elements<T>(args);
}
ATTUNE_INSTANTIATE(transpose)

}  // namespace attune::reference
