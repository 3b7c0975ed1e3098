#include "kernels/kernel.h"
#include "kernels/reference/table.h"

#ifdef ATTUNE_HAVE_EIGEN
#include "kernels/eigen/table.h"
#endif
#ifdef ATTUNE_HAVE_HWY
#include "kernels/simd/table.h"
#endif
#ifdef ATTUNE_HAVE_XNNPACK
#include "kernels/xnnpack/table.h"
#endif

namespace attune {

bool backend_available(Backend backend) {
  switch (backend) {
    case Backend::reference:
      return true;
    case Backend::eigen:
#ifdef ATTUNE_HAVE_EIGEN
      return true;
#else
      return false;
#endif
    case Backend::xnnpack:
#ifdef ATTUNE_HAVE_XNNPACK
      return true;
#else
      return false;
#endif
    case Backend::simd:
#ifdef ATTUNE_HAVE_HWY
      return simd_available();
#else
      return false;
#endif
  }
  return false;
}

const Kernel* find_kernel(Backend backend, Op op, DType dtype) {
  // An id that a plan of a newer version brought must not index past the tables.
  if (static_cast<int>(op) >= kOpCount) return nullptr;
  switch (backend) {
    case Backend::reference:
      return find_reference_kernel(op, dtype);
    case Backend::eigen:
#ifdef ATTUNE_HAVE_EIGEN
      return find_eigen_kernel(op, dtype);
#else
      return nullptr;
#endif
    case Backend::xnnpack:
#ifdef ATTUNE_HAVE_XNNPACK
      return find_xnnpack_kernel(op, dtype);
#else
      return nullptr;
#endif
    case Backend::simd:
#ifdef ATTUNE_HAVE_HWY
      return find_simd_kernel(op, dtype);
#else
      return nullptr;
#endif
  }
  return nullptr;
}

}  // namespace attune
