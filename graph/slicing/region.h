#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/rules/cut.h"
#include "graph/rules/window.h"

// Nodes that run piece by piece along an axis: examples of a batch, rows of an image or samples of
// a signal, channels of a gradient. What is said here of rows holds for places on any axis.
namespace attune {

// What a node reads and gives for some rows.
struct PieceRule {
  Cut cut;
  RowWindows windows;  // the rows of its inputs that are read
};
// By one axis of one operand (inputs first, then outputs). Nothing where it cannot be cut there, or
// a window may see nothing but padding.
std::optional<PieceRule> piece_rule(const Graph& graph, const Node& node, int operand, int axis);

// A value that the region computes or reads in pieces. Reshapes of it are the same value.
struct CutValue {
  ValueId value = kNone;
  int axis = 0;  // along which its rows lie
  int rows = 0;
  int64_t row_bytes = 0;
  bool together = true;      // the elements of a piece lie one behind the other
  int maker = kNone;         // index of the region's node; kNone: made before the region
  bool kept = false;         // read outside the region too: all of it has to be there in the end
  std::vector<int> readers;  // indices of the region's nodes
};

struct CutNode {
  NodeId id = kNone;
  PieceRule rule;
  std::vector<int> inputs, outputs;  // index of the value; kNone: absent, or not cut
  int overwrites = kNone;  // the input on which output 0 may lie, which has no other reader
};

struct Region {
  std::vector<CutValue> values;
  std::vector<CutNode> nodes;    // in the order of the schedule
  std::vector<NodeId> reshapes;  // between its nodes, and read by nobody else

  const CutValue& value(int i) const { return values[static_cast<size_t>(i)]; }
  const CutNode& node(int n) const { return nodes[static_cast<size_t>(n)]; }
  // How many rows a node makes.
  int rows(const CutNode& node) const { return value(node.outputs[0]).rows; }
};

// Of these nodes, in the order of the schedule. Reshapes among them are looked through.
Region make_region(const Graph& graph, const std::vector<std::pair<NodeId, PieceRule>>& nodes);

// One node run for some rows.
struct Piece {
  int node = kNone;
  Rows rows;
};

// The rows of an input that a node reads for some rows of what it makes.
inline Rows rows_read(const Region& region, const CutNode& node, int input, Rows made) {
  return node.rule.windows.reads(made, region.value(input).rows);
}

// The first row of a value that pieces after `done` (rows made so far, by node) still read.
int first_needed(const Region& region, const CutValue& value, const std::vector<int>& done);

}  // namespace attune
