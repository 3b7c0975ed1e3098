#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {

// Rows of x times the rows of the weight [O,I], plus a bias [O].
void translate_FULLY_CONNECTED(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_FullyConnectedOptions());
  if (options.weights_format() != 0) n.fail("its weights are shuffled");
  if (n.rank(1) != 2) n.fail("a weight of shape {}", dims_text(n.dims(1)));
  const int64_t outputs = n.dims(1)[0], inner = n.dims(1)[1];
  const int64_t elements = count_elements(n.dims(0));
  if (inner < 1 || elements % inner != 0)
    n.fail("a weight of shape {} for an input of shape {}", dims_text(n.dims(1)),
           dims_text(n.dims(0)));
  if (n.is_known(0)) n.fail("its input '{}' is a constant", n.input(0).name);
  const int64_t rows = elements / inner;
  Dims y = {rows, outputs};
  if (options.keep_num_dims()) {
    if (n.rank(0) < 1 || n.dims(0).back() != inner)
      n.fail("a weight of shape {} for an input of shape {}", dims_text(n.dims(1)),
             dims_text(n.dims(0)));
    y = n.dims(0);
    y.back() = outputs;
  }
  if (n.has(2) && count_elements(n.dims(2)) != outputs)
    n.fail("a bias of shape {} for {} outputs", dims_text(n.dims(2)), outputs);
  const auto activate = [&](const std::string& value) {
    return n.activate(value, options.activation());
  };
  if (!n.is_known(1)) {
    const std::string transposed =
        n.emit("Transpose", {n.value(1, n.dims(1))}, {{"perm", Dims{0, 2, 1}}});
    std::string product = n.emit("MatMul", {n.value(0, {rows, inner}), transposed});
    if (n.has(2)) product = n.emit("Add", {product, n.operand(2, {rows, outputs}, true)});
    return n.set(0, activate(product), y, {rows, outputs});
  }
  std::string x = n.value(0, rows == 1 ? Dims{inner} : Dims{rows, inner});
  if (rows > 1) x = n.emit("Reshape", {x, n.ints({-1, inner})});
  std::vector<std::string> inputs = {x, n.weight(1, {0, 1})};
  if (n.has(2)) {
    if (n.rank(2) != 1) n.fail("a bias of shape {}", dims_text(n.dims(2)));
    inputs.push_back(n.weight(2, {0}));
  }
  const std::string product = activate(n.emit("Gemm", inputs, {{"transB", int64_t{1}}}));
  if (rows == 1) return n.set(0, product, y, {outputs});
  n.set(0, n.emit("Reshape", {product, n.ints({-1, rows, outputs})}), y, {rows, outputs});
}

void translate_BATCH_MATMUL(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_BatchMatMulOptions());
  if (n.rank(0) < 2 || n.rank(1) < 2 || n.all_known())
    n.fail("factors of shape {} and {}", dims_text(n.dims(0)), dims_text(n.dims(1)));
  const bool adjoint[] = {options.adj_x(), options.adj_y()};
  Dims factor[] = {n.dims(0), n.dims(1)};
  for (int i = 0; i < 2; ++i)
    if (adjoint[i]) std::swap(factor[i][factor[i].size() - 1], factor[i][factor[i].size() - 2]);
  const auto lead = [](const Dims& d) { return Dims(d.begin(), d.end() - 2); };
  if (factor[0].back() != factor[1][factor[1].size() - 2])
    n.fail("inner sizes differ in {} and {}", dims_text(factor[0]), dims_text(factor[1]));
  Dims y = broadcast_dims(lead(factor[0]), lead(factor[1]));
  y.insert(y.end(), {factor[0][factor[0].size() - 2], factor[1].back()});
  const bool whole = y.size() == 2 || y[0] != 1;
  std::string value[2];
  for (int i = 0; i < 2; ++i) {
    Perm perm =
        identity_perm(n.is_known(i) ? n.rank(i) : static_cast<int>(y.size()) + (whole ? 1 : 0));
    value[i] = n.operand(i, y, whole);
    if (!adjoint[i]) continue;
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    value[i] = n.emit("Transpose", {value[i]}, {{"perm", Dims(perm.begin(), perm.end())}});
  }
  n.set(0, n.emit("MatMul", {value[0], value[1]}), y, whole ? y : example(y));
}

}  // namespace attune
