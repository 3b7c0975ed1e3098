#pragma once

#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// What must run before what, by node: producers before readers, and readers of an old value before
// the node that updates it in place.
struct Dependencies {
  std::vector<std::vector<int>> after;  // nodes that wait for this one
  std::vector<int> waiting_for;         // how many a node waits for

  explicit Dependencies(const Graph& graph);
};

}  // namespace attune
