#include "graph/memory/packed_graph.h"

namespace attune {

const MemoryPlan& PackedGraph::quick() {
  if (!quick_) quick_ = plan_memory(graph_, PackEffort::quick);
  return *quick_;
}

const MemoryPlan& PackedGraph::full() {
  // Where the quick plan is tight, there is little left to search for.
  if (!full_) full_ = quick().is_tight() ? *quick_ : plan_memory(graph_);
  return *full_;
}

const MemoryPlan& PackedGraph::within(int64_t bytes) {
  if (quick().arena_bytes <= bytes) return *quick_;
  // What a search that stopped where it was tight left may be what is missing.
  if (full().is_tight() && full_->lower_bound <= bytes && bytes < full_->arena_bytes)
    full_ = plan_memory(graph_, PackEffort::full, bytes);
  return *full_;
}

bool PackedGraph::fits(int64_t bytes) {
  return quick().lower_bound <= bytes && within(bytes).arena_bytes <= bytes;
}

}  // namespace attune
