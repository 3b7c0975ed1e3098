#pragma once

#include <optional>
#include <vector>

#include "graph/rules/window.h"

// Which rows of its inputs an operator reads for some rows of its output, and the node that
// computes just these. A row is everything at one place of axis 1 of y[1,H,W,C].
namespace attune {

struct RowRule {
  RowWindows windows;
  std::vector<int> axes;  // by input: along which its rows lie; -1: read whole
};

// Nothing where the operator cannot be cut into rows, or the node has more than one output or
// example.
std::optional<RowRule> row_rule(const Graph& graph, const Node& node);

// A node that computes these rows of `node`'s output, from inputs that are the windows of `node`'s
// where the rule says so. `height` is that of the whole input.
Node make_rows(Graph& graph, const Node& node, const RowRule& rule, Rows output, int height,
               std::vector<ValueId> inputs);

}  // namespace attune
