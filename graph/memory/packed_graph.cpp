#include "graph/memory/packed_graph.h"

namespace attune {

const MemoryPlan& PackedGraph::quick() {
  if (!quick_) quick_ = plan_memory(graph_, PackEffort::quick);
  return *quick_;
}

const MemoryPlan& PackedGraph::full() {
  // Where the quick plan reaches the bound, there is nothing left to search for.
  if (quick_ && quick_->arena_bytes == quick_->lower_bound) return *quick_;
  if (!full_) full_ = plan_memory(graph_);
  return *full_;
}

bool PackedGraph::fits(int64_t bytes) {
  if (quick().arena_bytes <= bytes) return true;
  return quick().lower_bound <= bytes && full().arena_bytes <= bytes;
}

}  // namespace attune
