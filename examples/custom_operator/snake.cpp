#include "snake.h"

#include <cmath>

#include "attune/thread_pool.h"

namespace {

using attune::KernelArgs;
using attune::Shape;
using attune::Tensor;

// All inputs have one shape, and so has the output. Kernels trust what is checked here.
template <size_t kInputs>
const char* infer(std::span<const Tensor> inputs, std::span<const double> parameters,
                  Shape* output) {
  if (inputs.size() != kInputs) return "wrong number of inputs";
  for (const Tensor& input : inputs)
    if (!(input.shape == inputs[0].shape)) return "the inputs differ in shape";
  if (inputs[0].shape.rank < 1) return "the input has no axis of examples";
  if (!(parameters[0] > 0)) return "the frequency must be above 0";
  *output = inputs[0].shape;
  return nullptr;
}

// Calls f(i) for every element, in threads.
template <class F>
void for_each(const KernelArgs& args, F f) {
  args.pool->parallel_for(args.output(0).shape.elements(), 4096, [=](int64_t i, int64_t end) {
    for (; i < end; ++i) f(i);
  });
}

template <class T>
void snake(const KernelArgs& args) {
  const T a = static_cast<T>(attune::custom_parameters(args)[0]);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  for_each(args, [=](int64_t i) {
    const T sine = std::sin(a * x[i]);
    y[i] = x[i] + sine * sine / a;
  });
}

// dx = dy * (1 + sin(2 a x))
template <class T>
void snake_grad(const KernelArgs& args) {
  const T a = static_cast<T>(attune::custom_parameters(args)[0]);
  const T *dy = args.input(0).as<T>(), *x = args.input(1).as<T>();
  T* dx = args.output(0).as<T>();
  for_each(args, [=](int64_t i) { dx[i] = dy[i] * (1 + std::sin(2 * a * x[i])); });
}

}  // namespace

const attune::CustomOperator kSnake = {.name = "com.example.Snake",
                                       .infer = infer<1>,
                                       .run_f32 = snake<float>,
                                       .run_f64 = snake<double>,
                                       .by_example = 0b1};
const attune::CustomOperator kSnakeGrad = {.name = "com.example.SnakeGrad",
                                           .infer = infer<2>,
                                           .run_f32 = snake_grad<float>,
                                           .run_f64 = snake_grad<double>,
                                           .by_example = 0b11};

attune::Status register_snake() {
  ATTUNE_RETURN_IF_ERROR(attune::register_operator(kSnake));
  return attune::register_operator(kSnakeGrad);
}
