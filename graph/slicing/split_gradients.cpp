#include "graph/memory/lower_peak.h"
#include "graph/passes/passes.h"
#include "graph/slicing/gradient_splitter.h"

namespace attune {

bool split_gradients(Graph& graph, int64_t budget_bytes) {
  graph.index();
  if (peak_behind_loss(graph) <= budget_bytes) return false;
  const auto split = GradientSplitter(graph).split(budget_bytes);
  if (!split) return false;
  graph = split->graph();
  return true;
}

}  // namespace attune
