#include "tests/backends/checks.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/backends/cases.h"

namespace attune::test {
namespace {

constexpr double kF32Error = 1e-6, kF64Error = 2e-15;

// Compares with the reference in double, in both types, and 1 thread with 2, in some calls 3.
Result check_call(Backend backend, const Call& call) {
  INFO(call.name, ", ", std::string(op_name(call.op)));
  REQUIRE(supports(backend, call));
  const Result truth = run(Backend::reference, call, DType::f64);
  const Result single = run(backend, call, DType::f32);
  CHECK(norm_error(single, truth) < kF32Error);
  if (find_kernel(backend, call.op, DType::f64))
    CHECK(norm_error(run(backend, call, DType::f64), truth) < kF64Error);
  const int threads = call.output.last() % 4 == 1 ? 3 : 2;
  CHECK((run(backend, call, DType::f32, threads) == single));
  return single;
}

// The elements of `whole` at `indices` along `axis`.
template <class T>
std::vector<T> gather(const std::vector<T>& whole, const Shape& shape, int axis,
                      const std::vector<int>& indices) {
  std::vector<T> part;
  const int64_t inner = shape.product(axis + 1, shape.rank);
  for (int64_t outer = 0; outer < shape.product(0, axis); ++outer)
    for (int index : indices)
      for (int64_t i = 0; i < inner; ++i)
        part.push_back(whole[(outer * shape[axis] + index) * inner + i]);
  return part;
}

Operand gather(const Operand& whole, int axis, const std::vector<int>& indices) {
  Operand part{whole.shape, gather(whole.elements, whole.shape, axis, indices)};
  part.shape[axis] = static_cast<int32_t>(indices.size());
  return part;
}

// Lists of `size` channels as schemes choose them: one, a range, every third, backwards.
std::vector<std::vector<int>> channel_lists(int size) {
  std::vector<std::vector<int>> lists{{size - 1}, {0}, {}, {}, {}};
  for (int i = size / 3; i < size; ++i) lists[2].push_back(i);
  for (int i = 0; i < size; i += 3) lists[3].push_back(i);
  for (int i = size - 1; i >= 0; --i) lists[4].push_back(i);
  return lists;
}

// Whether gathering `axis` of input `input` before the call gives the bits of gathering `out_axis`
// of its output after.
void check_slices(Backend backend, const Call& call, const Result& whole, int input, int axis,
                  int out_axis) {
  for (const std::vector<int>& list : channel_lists(call.output[out_axis])) {
    INFO(list.size(), " channels from ", list[0], " of input ", input);
    Call part = call;
    part.inputs[input] = gather(call.inputs[input], axis, list);
    part.output[out_axis] = static_cast<int32_t>(list.size());
    CHECK(run(backend, part).f32 == gather(whole.f32, call.output, out_axis, list));
  }
}

// Whether the backend has to take a convolution; what it leaves to others is written down here.
bool takes(Backend backend, const Conv& c, bool depthwise) {
  if (backend != Backend::simd) return true;
  if (!depthwise) return c.groups == 1;
  const bool square = c.kh == c.kw && (c.kh == 3 || c.kh == 5 || c.kh == 7);
  return square && c.stride_h == c.stride_w && c.stride_h <= 2 && c.dilation_h == 1 &&
         c.dilation_w == 1;
}

}  // namespace

void check_convolutions(Backend backend) {
  const auto check = [backend](const Conv& conv, bool depthwise) {
    const bool clamps = conv.c % 2 == 1;
    const Bias bias = conv.h % 3 == 0 ? Bias::absent : Bias::trained;
    if (!takes(backend, conv, depthwise)) {
      CHECK_FALSE(supports(backend, conv_forward(conv, depthwise, bias, clamps)));
      return;
    }
    const Result y = check_call(backend, conv_forward(conv, depthwise, bias, clamps));
    if (clamps) check_mask(y, kClampMin, kClampMax);
    check_call(backend, conv_grad_input(conv, depthwise));
    check_call(backend, conv_grad_weight(conv, depthwise));
  };
  for (const Conv& conv : conv_cases()) {
    check(conv, false);
    if (conv.groups == 1) check(conv, true);
  }
  for (const Conv& conv : wide_depthwise_cases()) check(conv, true);
}

void check_mask_without_clamp(Backend backend) {
  Call call = conv_forward(conv_cases()[2], false, Bias::trained, false);
  call.mask = true;
  call.inputs[0].elements[0] = INFINITY;
  const Result y = run(backend, call);
  CHECK(std::isinf(y.f32[0]));
  check_mask(y, -INFINITY, INFINITY);
}

void check_nan(Backend backend) {
  for (bool depthwise : {false, true}) {
    Call call = conv_forward(conv_cases()[depthwise ? 10 : 1], depthwise, Bias::trained, true);
    call.inputs[0].elements[5] = NAN;
    const Result y = run(backend, call);
    const Result reference = run(Backend::reference, call, DType::f32);
    for (size_t i = 0; i < y.size(); ++i)
      CHECK(std::isnan(y.f32[i]) == std::isnan(reference.f32[i]));
    check_mask(y, kClampMin, kClampMax);
  }
}

void check_gradient_slices(Backend backend) {
  const auto check_depthwise = [backend](const Conv& conv) {
    if (!takes(backend, conv, true)) return;
    const Call call = conv_grad_weight(conv, true);
    const Result whole = run(backend, call);
    for (const std::vector<int>& list : channel_lists(conv.c)) {
      Call part = call;
      for (Operand& input : part.inputs) input = gather(input, 3, list);
      part.output[2] = static_cast<int32_t>(list.size());
      CHECK(run(backend, part).f32 == gather(whole.f32, call.output, 2, list));
    }
  };
  for (const Conv& conv : conv_cases()) {
    if (conv.groups != 1) continue;
    INFO(conv.name);
    const Call call = conv_grad_weight(conv, false);
    const Result whole = run(backend, call);
    check_slices(backend, call, whole, 1, 3, 0);  // some outputs: channels of dy
    check_slices(backend, call, whole, 0, 3, 3);  // some inputs: channels of x
    check_depthwise(conv);
  }
  for (const Conv& conv : wide_depthwise_cases()) check_depthwise(conv);
}

void check_linear(Backend backend) {
  for (int rows : {1, 3, 5, 13, 32})
    for (int inputs : {1, 7, 128, 300})
      for (int outputs : {1, 8, 17, 130}) {
        const bool clamps = outputs % 2 == 1;
        const Result y =
            check_call(backend, linear_forward(rows, inputs, outputs,
                                               rows == 3 ? Bias::absent : Bias::trained, clamps));
        if (clamps) check_mask(y, kClampMin, kClampMax);
      }
}

void check_matmul(Backend backend) {
  const int sizes[][4] = {{1, 1, 1, 1},    {1, 3, 7, 5},     {3, 17, 9, 4},  {1, 4, 8, 128},
                          {2, 13, 33, 65}, {1, 50, 31, 257}, {6, 2, 2, 129}, {1, 12, 8, 400},
                          {1, 40, 83, 1},  {1, 3, 18000, 1}, {2, 19, 50, 2}, {1, 70, 33, 3}};
  for (const auto& [batch, rows, cols, depth] : sizes)
    for (bool transpose_a : {false, true})
      for (bool transpose_b : {false, true}) {
        MatmulAttrs attrs;
        attrs.transpose_a = transpose_a, attrs.transpose_b = transpose_b;
        Shape a{batch, rows, depth}, b{batch, depth, cols};
        if (transpose_a) std::swap(a[1], a[2]);
        if (transpose_b) std::swap(b[1], b[2]);
        const Call call{"matmul " + std::to_string(batch) + "x" + std::to_string(rows) + "x" +
                            std::to_string(cols) + "x" + std::to_string(depth),
                        Op::matmul,
                        share(attrs),
                        {random_operand(a, depth), random_operand(b, cols)},
                        {batch, rows, cols}};
        const Result whole = check_call(backend, call);
        check_slices(backend, call, whole, 0, transpose_a ? 2 : 1, 1);
        check_slices(backend, call, whole, 1, transpose_b ? 1 : 2, 2);
      }
  const Call matrices{"two axes",
                      Op::matmul,
                      share(MatmulAttrs{}),
                      {random_operand({5, 6}, 1), random_operand({6, 7}, 2)},
                      {5, 7}};
  check_call(backend, matrices);
  const Call heads{"four axes",
                   Op::matmul,
                   share(MatmulAttrs{}),
                   {random_operand({2, 3, 5, 6}, 1), random_operand({2, 3, 6, 7}, 2)},
                   {2, 3, 5, 7}};
  check_call(backend, heads);
}

void check_reduce(Backend backend) {
  struct Row {
    Shape x;
    std::initializer_list<int> axes;
  };
  const Row rows[] = {
      {{2, 5, 7, 17}, {0, 1, 2}},
      {{3, 4, 5, 33}, {1, 2}},
      {{1, 13, 11, 64}, {0, 1, 2}},
      {{300, 4}, {0}},
      {{257, 70}, {0}},
      {{4, 1, 9, 5}, {2}},
      {{2, 3, 4, 5, 6}, {1}},
      {{1, 1, 1, 8}, {0, 1, 2}},
      {{5, 1, 6}, {0, 1}},
      {{2, 3, 8}, {}},
  };
  for (const Row& row : rows)
    for (bool mean : {false, true}) {
      ReduceAttrs attrs;
      attrs.mean = mean;
      Shape y = row.x;
      for (int axis : row.axes) attrs.axes |= 1 << axis, y[axis] = 1;
      const Operand x = random_operand(row.x, 5);
      const Call call{"reduce", Op::reduce, share(attrs), {x}, y};
      const Result whole = check_call(backend, call);
      check_slices(backend, call, whole, 0, row.x.rank - 1, row.x.rank - 1);
    }
}

void check_reduce_supports(Backend backend) {
  const auto takes = [backend](Shape x, int axes, Shape y) {
    ReduceAttrs attrs;
    attrs.axes = axes;
    return supports(backend, {"", Op::reduce, share(attrs), {random_operand(x, 1)}, y});
  };
  CHECK(takes({2, 3, 8}, 1, {1, 3, 8}));
  CHECK_FALSE(takes({2, 3, 4, 8}, 5, {1, 3, 1, 8}));
  CHECK(takes({2, 1, 4, 8}, 5, {1, 1, 1, 8}));
  CHECK_FALSE(takes({2, 8}, 2, {2, 1}));
}

}  // namespace attune::test
