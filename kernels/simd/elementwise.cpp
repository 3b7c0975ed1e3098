#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/elementwise.cpp"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <cstring>

#include "kernels/simd/kernels.h"
#include "kernels/simd/vector-inl.h"

// One element in, one out. Outputs may lie on inputs: an element is read before it is written.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

// A multiple of 64, so that no two threads write the same byte of a mask.
constexpr int64_t kElementTile = 8192;

// ---- Add ---------------------------------------------------------------------------------------

bool add_supports(const KernelArgs& args) {
  return args.input(0).shape == args.output(0).shape && args.input(1).shape == args.output(0).shape;
}

void add_elements(const float* a, const float* b, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(hn::Add(load(a + i), load(b + i)), y + i);
  for (; i < n; ++i) y[i] = a[i] + b[i];
}

void add(const KernelArgs& args) {
  const float *a = args.input(0).as<float>(), *b = args.input(1).as<float>();
  float* y = args.output(0).as<float>();
  args.pool->parallel_for(args.output(0).shape.elements(), kElementTile,
                          [=](int64_t begin, int64_t end) {
                            add_elements(a + begin, b + begin, y + begin, end - begin);
                          });
}

// ---- Clamp -------------------------------------------------------------------------------------

void clamp_elements(const float* x, float* y, int64_t n, float min, float max) {
  const V lo = repeat(min), hi = repeat(max);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(clamp_vector(load(x + i), lo, hi), y + i);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_partial(clamp_vector(load_partial(x + i, rest), lo, hi), y + i, rest);
  }
}

void clamp(const KernelArgs& args) {
  const auto& a = args.attributes<ClampAttrs>();
  const float min = static_cast<float>(a.min), max = static_cast<float>(a.max);
  const float* x = args.input(0).as<float>();
  float* y = args.output(0).as<float>();
  uint8_t* mask = args.output(1).as<uint8_t>();
  args.pool->parallel_for(args.output(0).shape.elements(), kElementTile,
                          [=](int64_t begin, int64_t end) {
                            clamp_elements(x + begin, y + begin, end - begin, min, max);
                            if (mask)
                              write_mask(y + begin, end - begin, min, max, mask + begin / 8);
                          });
}

// dx = mask ? dy : 0. A masked NaN is 0 too.
void select_elements(const float* dy, const uint8_t* mask, float* dx, int64_t n) {
  int64_t i = 0;
  for (; i + 64 <= n; i += 64, mask += 8) {
    uint64_t bits;
    std::memcpy(&bits, mask, 8);
#if HWY_IS_BIG_ENDIAN
    bits = __builtin_bswap64(bits);
#endif
    for (int j = 0; j < 64; j += kLanes) {
      // LoadMaskBits may read eight bytes.
      const uint64_t part = bits >> j;
      uint8_t bytes[8];
      for (int b = 0; b < 8; ++b) bytes[b] = static_cast<uint8_t>(part >> 8 * b);
      const auto chosen = hn::LoadMaskBits(D(), bytes);
      store(hn::IfThenElseZero(chosen, load(dy + i + j)), dx + i + j);
    }
  }
  for (int64_t j = 0; i + j < n; ++j) dx[i + j] = mask[j / 8] >> (j % 8) & 1 ? dy[i + j] : 0.0f;
}

// The sums of the columns are those of reduce: blocks of kSumRows rows, in order. A block's are
// taken while its rows are in the cache.
size_t mask_grad_workspace(const KernelArgs& args, int) {
  if (args.num_outputs < 2) return 0;
  const Shape& dx = args.output(0).shape;
  const int64_t rows = dx.product(0, dx.rank - 1);
  return static_cast<size_t>((rows + kSumRows - 1) / kSumRows * dx.last()) * sizeof(float);
}

// sums[0 .. cols) += the sum of `rows` rows of x, one after the other.
void add_rows(const float* x, int64_t rows, int64_t cols, float* sums) {
  int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) {
    V v = load(sums + c);
    for (int64_t row = 0; row < rows; ++row) v = hn::Add(v, load(x + row * cols + c));
    store(v, sums + c);
  }
  for (; c < cols; ++c)
    for (int64_t row = 0; row < rows; ++row) sums[c] += x[row * cols + c];
}

void mask_grad_with_sums(const float* dy, const uint8_t* mask, float* dx, int64_t rows,
                         int64_t cols, float* blocks, float* sums, ThreadPool& pool) {
  constexpr int64_t kRowsAtOnce = 8;  // masks of so many rows are whole bytes
  pool.parallel_for(rows, kSumRows, [=](int64_t begin, int64_t end) {
    float* const block = blocks + begin / kSumRows * cols;
    std::fill_n(block, cols, 0.0f);
    for (int64_t row = begin; row < end; row += kRowsAtOnce) {
      const int64_t count = std::min(kRowsAtOnce, end - row), at = row * cols;
      select_elements(dy + at, mask + at / 8, dx + at, count * cols);
      add_rows(dx + at, count, cols, block);
    }
  });
  std::copy_n(blocks, cols, sums);
  for (int64_t row = kSumRows; row < rows; row += kSumRows)
    add_elements(sums, blocks + row / kSumRows * cols, sums, cols);
}

void mask_grad(const KernelArgs& args) {
  const float* dy = args.input(0).as<float>();
  const uint8_t* mask = args.input(1).as<uint8_t>();
  float* dx = args.output(0).as<float>();
  const Shape& shape = args.output(0).shape;
  if (args.output(1)) {
    mask_grad_with_sums(dy, mask, dx, shape.product(0, shape.rank - 1), shape.last(),
                        static_cast<float*>(args.workspace), args.output(1).as<float>(),
                        *args.pool);
    return;
  }
  args.pool->parallel_for(shape.elements(), kElementTile, [=](int64_t begin, int64_t end) {
    select_elements(dy + begin, mask + begin / 8, dx + begin, end - begin);
  });
}

constexpr Kernel kAdd{add, add_supports, nullptr, nullptr, nullptr};
constexpr Kernel kClamp{clamp, nullptr, nullptr, nullptr, nullptr};
constexpr Kernel kMaskGrad{mask_grad, nullptr, mask_grad_workspace, nullptr, nullptr};

}  // namespace

const Kernel* find_elementwise_here(Op op) {
  if (op == Op::add) return &kAdd;
  if (op == Op::clamp) return &kClamp;
  if (op == Op::mask_grad) return &kMaskGrad;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::simd {
HWY_EXPORT(find_elementwise_here);
const Kernel* find_elementwise(Op op) { return HWY_DYNAMIC_DISPATCH(find_elementwise_here)(op); }
}  // namespace attune::simd
#endif
