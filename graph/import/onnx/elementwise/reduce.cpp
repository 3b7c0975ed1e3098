#include "graph/import/common/known_math.h"
#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

constexpr int kNoInput = 255;

// Which axes a node reduces: the attribute's, from some opset on those of its second input.
std::vector<bool> reduced_axes(const OnnxNode& n, int opset_of_input) {
  const int rank = n.rank(0);
  const auto axes = n.ints_of("axes", n.opset() < opset_of_input ? kNoInput : 1);
  const bool none = !axes || axes->empty();
  std::vector<bool> reduced(rank, none && n.integer("noop_with_empty_axes", 0) == 0);
  if (axes)
    for (int64_t axis : *axes) reduced[normal_axis(axis, rank)] = true;
  return reduced;
}

// A reduction of some axes, all of which stay, with size 1.
using Axes = std::vector<bool>;

Expression reduce(const Expression& x, const Axes& reduced, bool mean) {
  ReduceAttrs attrs{0, mean};
  for (size_t i = 0; i < reduced.size(); ++i) attrs.axes |= reduced[i] ? 1 << i : 0;
  return attrs.axes == 0 ? x : apply(Op::reduce, x, attrs);
}
Expression sum(const Expression& x, const Axes& reduced) { return reduce(x, reduced, false); }

// The reduced axes as one, behind the others.
Expression with_reduced_last(const Expression& x, const Axes& reduced) {
  const Dims dims = to_dims(x.node->shape(x.id));
  Perm perm, last;
  Dims turned;
  int64_t size = 1;
  for (size_t i = 0; i < reduced.size(); ++i) {
    (reduced[i] ? last : perm).push_back(static_cast<int>(i));
    if (reduced[i])
      size *= dims[i];
    else
      turned.push_back(dims[i]);
  }
  perm.insert(perm.end(), last.begin(), last.end());
  turned.push_back(size);
  return x.with(x.node->reshape(x.node->transpose(x.id, perm, "reduced_last"), turned));
}

Expression largest(const Expression& x, const Axes& reduced) {
  return apply(Op::reduce_max, with_reduced_last(x, reduced));
}

// The root of a sum of squares. Its slope at 0 is 0, as PyTorch's: there the root of 1 is taken.
Expression length(const Expression& x, const Axes& reduced) {
  const Expression squares = sum(x * x, reduced), is_zero = equal(squares, 0);
  return sqrt(squares + is_zero) - is_zero;
}

// What is subtracted, so that no exponential overflows, need not be the maximum: its floor lets no
// gradient through. Nor is it infinite, where all elements are.
Expression log_sum_exp(const Expression& x, const Axes& reduced) {
  constexpr double kFinite = 1e30;
  const Expression turned = with_reduced_last(x, reduced);
  const ClampAttrs finite{.min = -kFinite, .max = kFinite};
  const Expression middle = floor(apply(Op::clamp, apply(Op::reduce_max, turned), finite));
  Axes last(x.node->shape(turned.id).rank, false);
  last.back() = true;
  return middle + log(sum(exp(turned - middle), last));
}

void import_reduce(OnnxNode& n, int opset_of_input,
                   Expression (*f)(const Expression& x, const Axes& reduced)) {
  const Dims dims = n.dims(0);
  if (dims.size() > kMaxRank) n.fail("its input has shape {}", dims_text(dims));
  const Axes reduced = reduced_axes(n, opset_of_input);
  const bool keep = n.integer("keepdims", 1) != 0;
  Dims kept;
  for (size_t i = 0; i < dims.size(); ++i)
    if (keep || !reduced[i]) kept.push_back(reduced[i] ? 1 : dims[i]);
  n.set(0, n.reshape(f(input(n, 0), reduced).id, kept, nullptr));
}

}  // namespace

using E = const Expression&;
using A = const Axes&;

void import_ReduceSum(OnnxNode& n) { import_reduce(n, 13, sum); }
void import_ReduceMean(OnnxNode& n) {
  if (n.is_real(0)) return import_reduce(n, 18, [](E x, A axes) { return reduce(x, axes, true); });
  import_reduce(n, 18, [](E x, A axes) { return apply(Op::trunc, reduce(x, axes, true)); });
}
void import_ReduceSumSquare(OnnxNode& n) {
  import_reduce(n, 18, [](E x, A axes) { return sum(x * x, axes); });
}
void import_ReduceL1(OnnxNode& n) {
  import_reduce(n, 18, [](E x, A axes) { return sum(abs(x), axes); });
}
void import_ReduceL2(OnnxNode& n) { import_reduce(n, 18, length); }
void import_ReduceLogSum(OnnxNode& n) {
  import_reduce(n, 18, [](E x, A axes) { return log(sum(x, axes)); });
}
void import_ReduceLogSumExp(OnnxNode& n) { import_reduce(n, 18, log_sum_exp); }
void import_ReduceMax(OnnxNode& n) { import_reduce(n, 18, largest); }
void import_ReduceMin(OnnxNode& n) {
  import_reduce(n, 18, [](E x, A axes) { return -largest(-x, axes); });
}

// Exact where it is known, as sizes of shapes are.
void import_ReduceProd(OnnxNode& n) {
  if (n.all_fixed()) {
    const bool keep = n.integer("keepdims", 1) != 0;
    return n.set(0, reduce_prod(n.known(0, "input"), reduced_axes(n, 18), keep));
  }
  import_reduce(n, 18,
                [](E x, A axes) { return apply(Op::reduce_prod, with_reduced_last(x, axes)); });
}

// Reduces axes as they are: it needs no layout of its own.
void import_GlobalAveragePool(OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank < 3 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  n.set(0, n.emit(Op::reduce, ReduceAttrs{((1 << rank) - 1) & ~3, true}, {n.value(0)}));
}

}  // namespace attune
