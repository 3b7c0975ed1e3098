#pragma once

#include "attune/dtype.h"
#include "kernels/op.h"

// Which operators this library has kernels for, and in which types: all, unless the file that
// ATTUNE_SELECTION names lists some. CMake writes it, of ATTUNE_OPERATORS and ATTUNE_TYPES or of
// plans (attune_slim_library). What is left out is referred to by nothing, and so not linked.
namespace attune {

#ifdef ATTUNE_SELECTION

constexpr bool operator_selected(Op op) {
#define ATTUNE_OPERATOR(name) \
  if (op == Op::name) return true;
#define ATTUNE_TYPE(name)
#include ATTUNE_SELECTION
#undef ATTUNE_OPERATOR
#undef ATTUNE_TYPE
  return false;
}

constexpr bool type_selected(DType dtype) {
#define ATTUNE_OPERATOR(name)
#define ATTUNE_TYPE(name) \
  if (dtype == DType::name) return true;
#include ATTUNE_SELECTION
#undef ATTUNE_OPERATOR
#undef ATTUNE_TYPE
  return false;
}

#else

constexpr bool operator_selected(Op) { return true; }
constexpr bool type_selected(DType) { return true; }

#endif

}  // namespace attune
