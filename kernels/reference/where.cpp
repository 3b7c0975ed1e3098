#include "kernels/reference/elements.h"
#include "kernels/reference/strided.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Walks a and b as one loop, and the condition beside them: the runs of both are cut where either
// ends.
template <class T>
void where(const KernelArgs& args) {
  const T* condition = args.input(0).as<T>();
  const T* a = args.input(1).as<T>();
  const T* b = args.input(2).as<T>();
  T* y = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const StridedLoop chosen = broadcast_loop(shape, args.input(1).shape, args.input(2).shape);
  const StridedLoop asked = broadcast_loop(shape, args.input(0).shape, args.input(0).shape);
  const int64_t a_step = chosen.a_step(), b_step = chosen.b_step(), step = asked.a_step();
  for_tiles(args, shape.elements(), [&](int64_t begin, int64_t end) {
    chosen.for_runs(begin, end, [&](int64_t out, int64_t count, int64_t a_at, int64_t b_at) {
      asked.for_runs(out, out + count, [&](int64_t first, int64_t run, int64_t at, int64_t) {
        for (int64_t i = 0; i < run; ++i) {
          const int64_t k = first - out + i;
          y[first + i] =
              condition[at + i * step] != T(0) ? a[a_at + k * a_step] : b[b_at + k * b_step];
        }
      });
    });
  });
}
ATTUNE_INSTANTIATE(where)

}  // namespace attune::reference
