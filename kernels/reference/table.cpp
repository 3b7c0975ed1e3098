#include "kernels/reference/table.h"

#include "kernels/backends.h"

namespace attune {
namespace {

// What softmax_cross_entropy and mean_squared_error keep: one loss an example.
template <class T>
size_t loss_workspace_bytes(const KernelArgs& args, int) {
  return static_cast<size_t>(args.input(0).shape[0]) * sizeof(T);
}

template <class T>
constexpr Kernel make_kernel(Op op, void (*run)(const KernelArgs&)) {
  Kernel kernel;
  kernel.run = run;
  if (op == Op::softmax_cross_entropy || op == Op::mean_squared_error)
    kernel.workspace_bytes = loss_workspace_bytes<T>;
  return kernel;
}

// Indexed by operator. One without a kernel is a link error here.
template <class T>
constexpr Kernel kKernels[] = {
#define OP(id, name, ...) make_kernel<T>(Op::name, reference::name<T>),
#include "kernels/ops.def"
#undef OP
};

}  // namespace

const Kernel* find_reference_kernel(Op op, DType dtype) {
  if (dtype == DType::f32) return &kKernels<float>[static_cast<int>(op)];
  if (dtype == DType::f64) return &kKernels<double>[static_cast<int>(op)];
  return nullptr;
}

}  // namespace attune
