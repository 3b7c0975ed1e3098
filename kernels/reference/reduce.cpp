#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/strided.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Each output is one sum, in the order of the input.
template <class T>
void reduce(const KernelArgs& args) {
  const auto& attrs = args.attributes<ReduceAttrs>();
  const Shape& shape = args.input(0).shape;
  const Strides strides(shape);
  StridedLoop kept, reduced;
  for (int i = 0; i < shape.rank; ++i) {
    StridedLoop& loop = attrs.axes >> i & 1 ? reduced : kept;
    loop.add(shape[i], strides.of[i], 0);
  }
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const int64_t count = reduced.elements();
  const int64_t kept_step = kept.a_step(), reduced_step = reduced.a_step();

  constexpr int64_t kTile = 64;
  args.pool->parallel_for(kept.elements(), kTile, [&](int64_t begin, int64_t end) {
    kept.for_runs(begin, end, [&](int64_t out, int64_t width, int64_t base, int64_t) {
      T* sum = y + out;
      if (kept_step == 1) {
        // The last axis stays: neighbours are summed side by side.
        for (int64_t j = 0; j < width; ++j) sum[j] = 0;
        reduced.for_runs(0, count, [&](int64_t, int64_t terms, int64_t offset, int64_t) {
          for (int64_t k = 0; k < terms; ++k) {
            const T* s = x + base + offset + k * reduced_step;
            for (int64_t j = 0; j < width; ++j) sum[j] += s[j];
          }
        });
      } else {
        for (int64_t j = 0; j < width; ++j) {
          const T* s = x + base + j * kept_step;
          T total = 0;
          reduced.for_runs(0, count, [&](int64_t, int64_t terms, int64_t offset, int64_t) {
            for (int64_t k = 0; k < terms; ++k) total += s[offset + k * reduced_step];
          });
          sum[j] = total;
        }
      }
      if (attrs.mean)
        for (int64_t j = 0; j < width; ++j) sum[j] /= static_cast<T>(count);
    });
  });
}
ATTUNE_INSTANTIATE(reduce)

template <class T>
void broadcast_to(const KernelArgs& args) {
  const Shape& from = args.input(0).shape;
  const Shape& to = args.output(0).shape;
  const StridedLoop loop = broadcast_loop(to, from, from);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const int64_t step = loop.a_step();
  // Division by 1 changes nothing.
  const T divisor = args.attributes<BroadcastAttrs>().mean && from.elements() > 0
                        ? static_cast<T>(to.elements() / from.elements())
                        : T(1);
  for_tiles(args, to.elements(), [&](int64_t begin, int64_t end) {
    loop.for_runs(begin, end, [&](int64_t out, int64_t count, int64_t offset, int64_t) {
      const T* s = x + offset;
      if (step == 0) {
        const T v = *s / divisor;
        for (int64_t i = 0; i < count; ++i) y[out + i] = v;
      } else {
        for (int64_t i = 0; i < count; ++i) y[out + i] = s[i * step] / divisor;
      }
    });
  });
}
ATTUNE_INSTANTIATE(broadcast_to)

}  // namespace attune::reference
