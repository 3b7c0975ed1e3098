#pragma once

#include <optional>

#include "graph/memory/memory_plan.h"

namespace attune {

// A graph that no longer changes, and its memory plans, each made when it is asked for the first
// time.
class PackedGraph {
 public:
  explicit PackedGraph(Graph graph) : graph_(std::move(graph)) {}

  const Graph& graph() const { return graph_; }
  const MemoryPlan& quick();
  const MemoryPlan& full();
  // A plan of at most so many bytes, the quick one if it is; the full one where none is found.
  const MemoryPlan& within(int64_t bytes);
  // Whether the arena has at most so many bytes. Packs as little as that takes.
  bool fits(int64_t bytes);

 private:
  Graph graph_;
  std::optional<MemoryPlan> quick_, full_;
};

}  // namespace attune
