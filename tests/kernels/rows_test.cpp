// Slices and concats of rows: any type of whole bytes, and moves within one memory.
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "attune/thread_pool.h"
#include "kernels/attrs.h"
#include "kernels/kernel.h"

namespace attune::test {
namespace {

void run(Op op, const void* attrs, std::vector<Tensor> inputs, Tensor output, int threads) {
  ThreadPool pool(threads);
  KernelArgs args;
  args.attrs = attrs;
  args.inputs = inputs.data();
  args.num_inputs = static_cast<int>(inputs.size());
  args.outputs = &output;
  args.num_outputs = 1;
  args.pool = &pool;
  find_kernel(Backend::reference, op, DType::f32)->run(args);
}

Tensor tensor_at(void* data, DType dtype, Shape shape) {
  Tensor tensor;
  tensor.data = data;
  tensor.dtype = dtype;
  tensor.shape = shape;
  return tensor;
}

TEST_CASE("a slice moves rows to the front of the memory that they lie in, overlapping or not") {
  constexpr int32_t kRows = 12, kRow = 4000;
  for (const int threads : {1, 4})
    for (int32_t start = 0; start < kRows; ++start)
      for (int32_t to = 0; to <= start; ++to) {
        CAPTURE(start);
        CAPTURE(to);
        const int32_t count = kRows - start;
        std::vector<float> memory(kRows * kRow);
        std::iota(memory.begin(), memory.end(), 0.0f);
        const SliceAttrs attrs{1, start};
        run(Op::slice, &attrs, {tensor_at(memory.data(), DType::f32, {1, kRows, kRow / 4, 4})},
            tensor_at(memory.data() + to * kRow, DType::f32, {1, count, kRow / 4, 4}), threads);
        bool moved = true;
        for (int32_t i = 0; i < count * kRow; ++i)
          moved &=
              memory[static_cast<size_t>(to * kRow + i)] == static_cast<float>(start * kRow + i);
        for (int32_t i = 0; i < to * kRow; ++i)
          moved &= memory[static_cast<size_t>(i)] == static_cast<float>(i);
        CHECK(moved);
      }
}

TEST_CASE("rows of bytes are cut and joined as those of reals are") {
  std::vector<uint8_t> image(2 * 5 * 3), cut(2 * 2 * 3), joined(2 * 7 * 3);
  std::iota(image.begin(), image.end(), uint8_t{1});
  const SliceAttrs slice{1, 2};
  run(Op::slice, &slice, {tensor_at(image.data(), DType::u8, {2, 5, 3})},
      tensor_at(cut.data(), DType::u8, {2, 2, 3}), 1);
  for (size_t example = 0; example < 2; ++example)
    for (size_t i = 0; i < 6; ++i) CHECK(cut[example * 6 + i] == image[example * 15 + 6 + i]);
  const AxisAttrs concat{1};
  run(Op::concat, &concat,
      {tensor_at(cut.data(), DType::u8, {2, 2, 3}), tensor_at(image.data(), DType::u8, {2, 5, 3})},
      tensor_at(joined.data(), DType::u8, {2, 7, 3}), 1);
  for (size_t example = 0; example < 2; ++example)
    for (size_t i = 0; i < 21; ++i)
      CHECK(joined[example * 21 + i] ==
            (i < 6 ? cut[example * 6 + i] : image[example * 15 + i - 6]));
}

}  // namespace
}  // namespace attune::test
