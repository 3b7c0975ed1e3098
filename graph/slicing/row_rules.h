#pragma once

#include <optional>
#include <vector>

#include "graph/ir/graph.h"

// Which rows of its inputs an operator reads for some rows of its output, and the node that
// computes just these. A row is everything at one place of axis 1 of y[1,H,W,C].
namespace attune {

struct Rows {
  int begin = 0, end = 0;
  int count() const { return end - begin; }
  friend bool operator==(const Rows&, const Rows&) = default;
};

// Output row r reads rows r * stride - pad .. r * stride - pad + reach - 1 of the inputs, as far as
// they exist.
struct RowRule {
  int stride = 1, reach = 1, pad = 0;
  int axis = 1;                 // of the inputs, along which rows lie
  std::vector<bool> from_rows;  // by input; the others are read whole

  // What rows of an input of this height the output's rows read.
  Rows window(Rows output, int height) const;
};

// Nothing where the operator cannot be cut into rows, or the node has more than one output or
// example.
std::optional<RowRule> row_rule(const Graph& graph, const Node& node);

// A node that computes these rows of `node`'s output, from inputs that are the windows of `node`'s
// where the rule says so. `height` is that of the whole input.
Node make_rows(Graph& graph, const Node& node, const RowRule& rule, Rows output, int height,
               std::vector<ValueId> inputs);

}  // namespace attune
