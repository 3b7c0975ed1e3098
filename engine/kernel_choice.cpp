#include "engine/kernel_choice.h"

#include <algorithm>

namespace attune {
namespace {

// Whether XNNPACK, where it takes a step, is faster than simd; measured, see docs/operators.md.
bool xnnpack_is_faster(Op op, const KernelArgs& args) {
  const Shape& w = args.input(1).shape;
  // It has no masks: they are a pass of their own.
  const bool masked = args.num_outputs > 1 && args.output(1);
  switch (op) {
    case Op::conv2d:
      return !masked && (w[1] * w[2] == 1 ? w[0] < 64 : w[3] < 16);
    case Op::conv2d_grad_input:
      return w[1] * w[2] == 1 && std::min(w[0], w[3]) < 64;
    case Op::depthwise_conv2d:
    case Op::depthwise_conv2d_grad_input:
    case Op::linear:
      return false;
    default:
      return true;
  }
}

// Backends in the order in which they are asked for an operator.
int backend_order(BackendChoice choice, Op op, const KernelArgs& args,
                  Backend order[kBackendCount]) {
  int n = 0;
  const bool best = choice == BackendChoice::best;
  const bool simd_first = best && !xnnpack_is_faster(op, args);
  if (simd_first) order[n++] = Backend::simd;
  if (best || choice == BackendChoice::xnnpack) order[n++] = Backend::xnnpack;
  if (choice == BackendChoice::simd || choice == BackendChoice::xnnpack || (best && !simd_first))
    order[n++] = Backend::simd;
  if (choice != BackendChoice::reference) order[n++] = Backend::eigen;
  order[n++] = Backend::reference;
  return n;
}

// Whether a kernel that is prepared for the addresses of its operands may run a step.
bool stays(const KernelArgs& args) {
  const auto moves = [](const Tensor& tensor) { return tensor.moves; };
  return std::none_of(args.inputs, args.inputs + args.num_inputs, moves) &&
         std::none_of(args.outputs, args.outputs + args.num_outputs, moves);
}

}  // namespace

ChosenKernel kernel_of(Backend backend, DType real, Op op, const KernelArgs& args) {
  const Kernel* kernel = backend_available(backend) ? find_kernel(backend, op, real) : nullptr;
  const bool takes =
      kernel && (!kernel->supports || kernel->supports(args)) && (!kernel->prepare || stays(args));
  return {takes ? kernel : nullptr, backend};
}

ChosenKernel choose_kernel(BackendChoice choice, DType real, Op op, const KernelArgs& args,
                           int skip, bool prepared) {
  Backend order[kBackendCount];
  const int backends = backend_order(choice, op, args, order);
  for (int i = std::min(skip, backends - 1); i < backends; ++i)
    if (const ChosenKernel found = kernel_of(order[i], real, op, args);
        found.kernel && (prepared || !found.kernel->prepare))
      return found;
  return {};
}

int place_in_order(BackendChoice choice, Op op, const KernelArgs& args, Backend backend) {
  Backend order[kBackendCount];
  const int backends = backend_order(choice, op, args, order);
  return static_cast<int>(std::find(order, order + backends, backend) - order);
}

bool worth_threads(uint64_t macs, const KernelArgs& args) {
  constexpr uint64_t kMacs = 200'000;
  constexpr size_t kBytes = 1 << 18;
  if (macs >= kMacs) return true;
  size_t bytes = 0;
  for (int i = 0; i < args.num_inputs; ++i) bytes += args.inputs[i].bytes();
  for (int i = 0; i < args.num_outputs; ++i) bytes += args.outputs[i].bytes();
  return bytes >= kBytes;
}

}  // namespace attune
