#pragma once

#include <cstdint>
#include <vector>

#include "graph/slicing/row_rules.h"

// Part of a graph computed a few rows at a time, without computing any row twice: a node runs as
// soon as somebody needs its next rows, and of each image only the rows that are still to be read
// stay.
namespace attune {

// An image that the region computes or reads.
struct RowImage {
  ValueId value = kNone;
  int axis = 1;  // along which its rows lie
  int height = 0;
  int64_t row_bytes = 0;
  int maker = kNone;         // index of the region's node; kNone: made before the region
  bool kept = false;         // read outside the region too: all of it has to be there in the end
  std::vector<int> readers;  // indices of the region's nodes
};

struct RowNode {
  NodeId id = kNone;
  RowRule rule;
  std::vector<int> inputs;  // by input: index of the image, or kNone where it is read whole
  int output = kNone;       // image
  int overwrites = kNone;   // the input on which the output may lie, which has no other reader
};

struct RowRegion {
  std::vector<RowImage> images;
  std::vector<RowNode> nodes;  // in the order of the schedule
  int end = kNone;             // the node that the region is computed for
};

// One node run for some rows.
struct Strip {
  int node = kNone;
  Rows rows;
};

// The nodes of `candidates` (by node of the graph) that `end` needs, itself included. What they
// read must be made by candidates, or before all of them.
RowRegion row_region(const Graph& graph, const std::vector<bool>& candidates, NodeId end);

// Strips in the order in which rows are needed; `rows` is how many rows each node makes at once.
std::vector<Strip> stream(const RowRegion& region, const std::vector<int>& rows);

// The most bytes that the region's images take while these strips run, their input included.
int64_t stream_bytes(const RowRegion& region, const std::vector<Strip>& strips);

// The first row of an image that strips after `done` (rows made so far, by node) still read.
int first_needed(const RowRegion& region, const RowImage& image, const std::vector<int>& done);

}  // namespace attune
