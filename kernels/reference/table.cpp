#include "kernels/reference/table.h"

#include "kernels/backends.h"
#include "kernels/custom.h"
#include "kernels/reference/recurrent.h"
#include "kernels/selection.h"

namespace attune {
namespace {

// What losses keep: one loss an example.
template <class T>
size_t loss_workspace_bytes(const KernelArgs& args, int) {
  return static_cast<size_t>(args.input(0).shape[0]) * sizeof(T);
}

size_t custom_workspace_bytes(const KernelArgs& args, int threads) {
  const CustomOperator& op = *find_custom_operator(args.attributes<CustomAttrs>());
  return op.workspace_bytes == nullptr ? 0 : op.workspace_bytes(args, threads);
}

template <class T>
size_t recurrent_workspace_bytes(const KernelArgs& args, int) {
  return reference::Recurrence<T>::workspace_bytes(args);
}

// What updates of rows sort: the places of the ids.
size_t places_workspace_bytes(const KernelArgs& args, int) {
  return static_cast<size_t>(args.input(3).shape.elements()) * sizeof(int32_t);
}

template <class T, class Attrs>
constexpr Kernel make_kernel(Op op, OpKind kind, void (*run)(const KernelArgs&)) {
  Kernel kernel;
  kernel.run = run;
  if constexpr (requires { Attrs::gates; }) kernel.workspace_bytes = recurrent_workspace_bytes<T>;
  if (kind == OpKind::loss) kernel.workspace_bytes = loss_workspace_bytes<T>;
  if (op == Op::custom) kernel.workspace_bytes = custom_workspace_bytes;
  if (op == Op::take_sgd || op == Op::take_momentum || op == Op::take_adam)
    kernel.workspace_bytes = places_workspace_bytes;
  return kernel;
}

// An operator without a kernel is a link error here; one that is left out is not there.
template <DType kType, class T>
const Kernel* find_in(Op op) {
  switch (op) {
#define OP(id, name, version, kind, Attrs, ...)                              \
  case Op::name:                                                             \
    if constexpr (type_selected(kType) && operator_selected(Op::name)) {     \
      static constexpr Kernel kKernel =                                      \
          make_kernel<T, Attrs>(Op::name, OpKind::kind, reference::name<T>); \
      return &kKernel;                                                       \
    }                                                                        \
    break;
#include "kernels/ops.def"
#undef OP
  }
  return nullptr;
}

}  // namespace

const Kernel* find_reference_kernel(Op op, DType dtype) {
  if (dtype == DType::f32) return find_in<DType::f32, float>(op);
  if (dtype == DType::f64) return find_in<DType::f64, double>(op);
  return nullptr;
}

}  // namespace attune
