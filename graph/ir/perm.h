#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/op.h"

namespace attune {

// An order of axes: axis i of what is transposed is axis perm[i] of what was there, as in
// TransposeAttrs.
using Perm = std::vector<int>;

inline Perm identity_perm(int rank) {
  Perm perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  return perm;
}

inline bool is_identity(const Perm& perm) {
  return perm == identity_perm(static_cast<int>(perm.size()));
}

// transpose(transpose(x, first), second) = transpose(x, compose(first, second))
inline Perm compose(const Perm& first, const Perm& second) {
  Perm result(second.size());
  for (size_t i = 0; i < second.size(); ++i) result[i] = first[second[i]];
  return result;
}

inline Perm inverse(const Perm& perm) {
  Perm result(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) result[perm[i]] = static_cast<int>(i);
  return result;
}

// Sizes of axes, transposed: of a Shape or a vector.
template <class Sizes>
Sizes permuted(Sizes sizes, const Perm& perm) {
  const Sizes from = sizes;
  for (size_t i = 0; i < perm.size(); ++i) sizes[i] = from[perm[i]];
  return sizes;
}

inline TransposeAttrs transpose_attrs(const Perm& perm) {
  TransposeAttrs attrs;
  std::copy(perm.begin(), perm.end(), attrs.perm);
  return attrs;
}

}  // namespace attune
