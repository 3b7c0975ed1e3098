#include "attune/export.h"
#include "kernels/backends.h"
#include "kernels/selection.h"

namespace attune {
namespace {

// Null where this build lacks the backend.
auto table_of(Backend backend) -> const Kernel* (*)(Op, DType) {
  switch (backend) {
    case Backend::reference:
      return find_reference_kernel;
#ifdef ATTUNE_HAVE_EIGEN
    case Backend::eigen:
      return find_eigen_kernel;
#endif
#ifdef ATTUNE_HAVE_XNNPACK
    case Backend::xnnpack:
      return find_xnnpack_kernel;
#endif
#ifdef ATTUNE_HAVE_HWY
    case Backend::simd:
      return simd_available() ? find_simd_kernel : nullptr;
#endif
    default:
      return nullptr;
  }
}

}  // namespace

ATTUNE_API bool backend_available(Backend backend) { return table_of(backend) != nullptr; }

const Kernel* find_kernel(Backend backend, Op op, DType dtype) {
  // An id that a plan of a newer version brought must not index past the tables.
  if (static_cast<int>(op) >= kOpCount || !operator_selected(op) || !type_selected(dtype))
    return nullptr;
  const auto find = table_of(backend);
  return find ? find(op, dtype) : nullptr;
}

}  // namespace attune
