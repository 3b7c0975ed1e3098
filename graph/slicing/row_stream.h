#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/slicing/region.h"

// The first layers of a network in strips: a node runs as soon as somebody needs its next rows, so
// that no row is computed twice, and of each value only the rows that are still to be read stay.
namespace attune {

// How rows of the only output of a forward node are computed: places on the first axis that has
// more than one, the rows of an image or the samples of a signal. Nothing where the node cannot be
// cut there, or only channels are left, or there are several examples.
std::optional<PieceRule> row_rule(const Graph& graph, const Node& node);

// By node: the rule of those that may run in strips. What they read in rows is made by others of
// them, or by nodes that depend on none of them.
using RowRules = std::vector<std::optional<PieceRule>>;
RowRules find_row_rules(const Graph& graph);

// The nodes with rules that `end` needs, itself included. `end` is no reshape.
Region row_region(const Graph& graph, const RowRules& rules, NodeId end);

// Pieces in the order in which rows are needed; `rows` is how many rows each node makes at once.
std::vector<Piece> stream(const Region& region, const std::vector<int>& rows);

// The most bytes that the region's values take while these pieces run, its input included.
int64_t stream_bytes(const Region& region, const std::vector<Piece>& pieces);

}  // namespace attune
