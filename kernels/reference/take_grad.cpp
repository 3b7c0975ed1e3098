#include <algorithm>

#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"
#include "kernels/reference/update_step.h"

// The gradient of take's table, and the optimizers' updates of the rows that ids name.
namespace attune::reference {
namespace {

// The row that an id names, or -1: ids are data, and not trusted.
int64_t row_of(int64_t id, int64_t rows) {
  if (id < 0) id += rows;
  return id < rows ? std::max<int64_t>(id, -1) : -1;
}

// Calls f(first, dw, count) for parts of the rows that ids name, each row's parts once: the
// elements of the table from `first` on have the gradient dw[0 .. count). Rows whose gradient is
// all zero are left out, as those of examples that weigh nothing. Equal rows lie together once
// their places are sorted; whoever has the first place of a row takes all of them, so threads
// change no bit.
template <class T, class F>
void for_rows(const KernelArgs& args, F f) {
  const int64_t rows = args.output(0).shape[0], width = args.output(0).shape[1];
  const int32_t* ids = args.input(3).as<int32_t>();
  const int64_t count = args.input(3).shape.elements();
  const T* dy = args.input(1).as<T>();
  auto* places = static_cast<int32_t*>(args.workspace);
  const auto row_at = [=](int64_t i) { return row_of(ids[places[i]], rows); };
  for (int64_t i = 0; i < count; ++i) places[i] = static_cast<int32_t>(i);
  std::sort(places, places + count, [=](int32_t a, int32_t b) {
    const int64_t row_a = row_of(ids[a], rows), row_b = row_of(ids[b], rows);
    return row_a != row_b ? row_a < row_b : a < b;
  });
  constexpr int64_t kPart = 64;
  const int64_t tile = std::max<int64_t>(1, kElementTile / width);
  args.pool->parallel_for(count, tile, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = row_at(i);
      if (row < 0 || (i > 0 && row_at(i - 1) == row)) continue;
      int64_t last = i + 1;
      while (last < count && row_at(last) == row) ++last;
      T dw[kPart];
      const auto sum = [&](int64_t at) {
        const int64_t part = std::min(kPart, width - at);
        std::fill(dw, dw + part, T{0});
        for (int64_t j = i; j < last; ++j)
          for (int64_t k = 0; k < part; ++k) dw[k] += dy[places[j] * width + at + k];
        return part;
      };
      bool changes = false;
      for (int64_t at = 0; at < width && !changes; at += kPart) {
        const int64_t part = sum(at);
        changes = std::any_of(dw, dw + part, [](T x) { return x != 0; });
      }
      for (int64_t at = 0; at < width && changes; at += kPart) {
        const int64_t part = sum(at);
        f(row * width + at, dw, part);
      }
    }
  });
}

}  // namespace

// Threads share the columns, so that each sum is formed in the order of the ids.
template <class T>
void take_grad(const KernelArgs& args) {
  const int64_t rows = args.output(0).shape[0], width = args.output(0).shape[1];
  const int64_t count = args.input(1).shape.elements();
  const T* dy = args.input(0).as<T>();
  const int32_t* ids = args.input(1).as<int32_t>();
  T* dtable = args.output(0).as<T>();
  for_tiles(args, rows * width,
            [=](int64_t begin, int64_t end) { std::fill(dtable + begin, dtable + end, T{0}); });
  constexpr int64_t kColumns = 64;
  args.pool->parallel_for(width, kColumns, [=](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = row_of(ids[i], rows);
      if (row < 0) continue;
      for (int64_t k = begin; k < end; ++k) dtable[row * width + k] += dy[i * width + k];
    }
  });
}
ATTUNE_INSTANTIATE(take_grad)

template <class T>
void take_sgd(const KernelArgs& args) {
  const SgdStep<T> step(args);
  T* w = args.output(0).as<T>();
  for_rows<T>(args, [=](int64_t first, const T* dw, int64_t count) {
    for (int64_t i = 0; i < count; ++i) step(dw[i], w[first + i]);
  });
}
ATTUNE_INSTANTIATE(take_sgd)

template <class T>
void take_momentum(const KernelArgs& args) {
  const MomentumStep<T> step(args);
  T* w = args.output(0).as<T>();
  T* velocity = args.output(1).as<T>();
  for_rows<T>(args, [=](int64_t first, const T* dw, int64_t count) {
    for (int64_t i = 0; i < count; ++i) step(dw[i], w[first + i], velocity[first + i]);
  });
}
ATTUNE_INSTANTIATE(take_momentum)

// As torch.optim.SparseAdam, but epsilon counts as in Adam.
template <class T>
void take_adam(const KernelArgs& args) {
  const AdamStep<T> step(args);
  T* w = args.output(0).as<T>();
  T* m = args.output(1).as<T>();
  T* v = args.output(2).as<T>();
  for_rows<T>(args, [=](int64_t first, const T* dw, int64_t count) {
    for (int64_t i = 0; i < count; ++i) step(dw[i], w[first + i], m[first + i], v[first + i]);
  });
}
ATTUNE_INSTANTIATE(take_adam)

}  // namespace attune::reference
