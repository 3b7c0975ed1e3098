#include "tests/support/custom_operators.h"

#include <algorithm>
#include <cmath>

#include "attune/thread_pool.h"

namespace attune::test {
namespace {

// x or dy and x, then a.
const char* infer(std::span<const Tensor> inputs, size_t tensors, const char* count) {
  if (inputs.size() != tensors + 1) return count;
  const Shape &x = inputs[0].shape, &a = inputs[tensors].shape;
  if (x.rank < 1 || a.rank != 1 || a[0] != x.last()) return "a is not [C]";
  for (size_t i = 1; i < tensors; ++i)
    if (!(inputs[i].shape == x)) return "dy and x differ";
  return nullptr;
}
const char* snake_shape(std::span<const Tensor> inputs, std::span<const double>, Shape* output) {
  if (const char* wrong = infer(inputs, 1, "Snake takes x and a")) return wrong;
  *output = inputs[0].shape;
  return nullptr;
}
const char* grad_shape(std::span<const Tensor> inputs, std::span<const double>, Shape* output) {
  if (const char* wrong = infer(inputs, 2, "SnakeGrad takes dy, x and a")) return wrong;
  *output = inputs[0].shape;
  return nullptr;
}
const char* grad_a_shape(std::span<const Tensor> inputs, std::span<const double>, Shape* output) {
  if (const char* wrong = infer(inputs, 2, "SnakeGradA takes dy, x and a")) return wrong;
  *output = inputs[2].shape;
  return nullptr;
}
const char* centre_shape(std::span<const Tensor> inputs, std::span<const double>, Shape* output) {
  *output = inputs[0].shape;
  return nullptr;
}

template <class T>
void snake(const KernelArgs& args) {
  const T *x = args.input(0).as<T>(), *a = args.input(1).as<T>();
  T* y = args.output(0).as<T>();
  const int64_t channels = args.input(1).shape[0];
  const T strength = static_cast<T>(custom_parameters(args)[0]);
  args.pool->parallel_for(args.output(0).shape.elements(), 1024, [=](int64_t i, int64_t end) {
    for (; i < end; ++i) {
      const T sine = std::sin(a[i % channels] * x[i]);
      y[i] = x[i] + strength * sine * sine / a[i % channels];
    }
  });
}

// dx = dy * (1 + strength * sin(2 a x))
template <class T>
void snake_grad(const KernelArgs& args) {
  const T *dy = args.input(0).as<T>(), *x = args.input(1).as<T>(), *a = args.input(2).as<T>();
  T* dx = args.output(0).as<T>();
  const int64_t channels = args.input(2).shape[0];
  const T strength = static_cast<T>(custom_parameters(args)[0]);
  for (int64_t i = 0; i < args.output(0).shape.elements(); ++i)
    dx[i] = dy[i] * (1 + strength * std::sin(2 * a[i % channels] * x[i]));
}

// da = sum of dy * strength * (x sin(2 a x) / a - sin(a x)^2 / a^2), by way of the workspace.
template <class T>
void snake_grad_a(const KernelArgs& args) {
  const T *dy = args.input(0).as<T>(), *x = args.input(1).as<T>(), *a = args.input(2).as<T>();
  T* sums = static_cast<T*>(args.workspace);
  const int64_t channels = args.input(2).shape[0];
  std::fill_n(sums, channels, T(0));
  for (int64_t i = 0; i < args.input(0).shape.elements(); ++i) {
    const T at = a[i % channels], sine = std::sin(at * x[i]);
    sums[i % channels] += dy[i] * (x[i] * std::sin(2 * at * x[i]) / at - sine * sine / (at * at));
  }
  const T strength = static_cast<T>(custom_parameters(args)[0]);
  for (int64_t c = 0; c < channels; ++c) args.output(0).as<T>()[c] = strength * sums[c];
}
size_t grad_a_workspace(const KernelArgs& args, int) {
  return static_cast<size_t>(args.input(2).shape[0]) * sizeof(double);
}

void centre(const KernelArgs& args) {
  const int64_t count = args.output(0).shape.elements();
  const float* x = args.input(0).as<float>();
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  for (int64_t i = 0; i < count; ++i)
    args.output(0).as<float>()[i] = x[i] - sum / static_cast<float>(count);
}

}  // namespace

const CustomOperator kSnake = {.name = "com.example.Snake",
                               .infer = snake_shape,
                               .run_f32 = snake<float>,
                               .run_f64 = snake<double>,
                               .by_example = 0b1};
const CustomOperator kSnakeGrad = {.name = "com.example.SnakeGrad",
                                   .infer = grad_shape,
                                   .run_f32 = snake_grad<float>,
                                   .run_f64 = snake_grad<double>,
                                   .by_example = 0b11};
const CustomOperator kSnakeGradA = {.name = "com.example.SnakeGradA",
                                    .infer = grad_a_shape,
                                    .run_f32 = snake_grad_a<float>,
                                    .run_f64 = snake_grad_a<double>,
                                    .workspace_bytes = grad_a_workspace,
                                    .by_example = 0b11,
                                    .sums_examples = true};
const CustomOperator kCentre = {
    .name = "com.example.Centre", .infer = centre_shape, .run_f32 = centre};

void add_test_operators() {
  for (const CustomOperator* op : {&kSnake, &kSnakeGrad, &kSnakeGradA, &kCentre})
    add_custom_operator(*op);
}

}  // namespace attune::test
