#pragma once

#include <map>
#include <memory>

#include "graph/memory/packed_graph.h"

namespace attune {

// Computes gradients of weights some output channels at a time, for one budget after another; what
// was tried for one is known for the next. See split_gradients, the pass, and the folder's README.
class GradientSplitter {
 public:
  // How many strips the gradient of each update has, by the update's first output.
  using Strips = std::map<ValueId, int>;

  // The graph must be scheduled and indexed.
  explicit GradientSplitter(const Graph& graph);

  // In as few strips as keep the peak behind the loss within the budget, or else as low as it can
  // be. nullptr where that gains nothing.
  std::shared_ptr<PackedGraph> split(int64_t budget_bytes);

 private:
  std::shared_ptr<PackedGraph> in_strips(const Strips& strips) const;

  const int64_t peak_;
  const Strips finest_;
  Graph ordered_;      // whole, in the order that is best for the finest strips
  int64_t least_ = 0;  // the peak with these
  std::map<Strips, std::shared_ptr<PackedGraph>> known_;
};

}  // namespace attune
