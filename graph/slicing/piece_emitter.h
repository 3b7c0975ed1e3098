#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/graph.h"
#include "graph/memory/dependencies.h"
#include "graph/slicing/region.h"

namespace attune {

// Where the rows that are still to be read wait for those that come behind them. A value needs most
// memory while it is read; which of these lets others have that memory meanwhile depends on them.
enum class Waits : uint8_t {
  at_end,    // of the value's buffer: moved to its start when the next rows come
  at_start,  // of the value's buffer
  elsewhere  // in a place of their own; the next rows and they meet in a new buffer
};
constexpr Waits kAllWaits[] = {Waits::at_end, Waits::at_start, Waits::elsewhere};

// The values of which rows ever wait for others: those whose readers do not take every piece as it
// was made.
std::vector<int> waiting_values(const Region& region, const std::vector<Piece>& pieces);

// The nodes that run a region piece by piece. `result` holds the graph's values, and gets the new
// ones; a piece is called by its node's name and `unit`.
// - A value whose readers take the pieces as they were made needs no place of its own. Any other
//   lies in a buffer, as far as it is still to be read; `waits` by value says where.
// - What was made before the region is read where it lies; constants are cut here and now.
// - What is read outside the region is assembled in place. Sums over the pieces are added up.
// - An update writes its part of a parameter, or one after the other where that cannot be cut.
std::vector<Node> emit_pieces(const Graph& graph, Graph& result, const Region& region,
                              const std::vector<Piece>& pieces, const std::string& unit);

// Pieces that run together, as soon as the graph's nodes up to one of them have: those of the nodes
// that need the pieces come behind.
struct PieceRun {
  std::vector<Piece> pieces;
  NodeId behind = kNone;
};
// The graph with a region's nodes replaced by its pieces, in runs that follow each other.
Graph in_pieces(const Graph& graph, const Dependencies& dependencies, const Region& region,
                const std::vector<PieceRun>& runs, const std::vector<Waits>& waits,
                const std::string& unit);

}  // namespace attune
