#include "graph/passes/passes.h"
#include "graph/slicing/row_tiler.h"

namespace attune {

bool tile_rows(Graph& graph, int64_t budget_bytes) {
  graph.index();
  const auto tiled = RowTiler(std::make_shared<PackedGraph>(graph)).tiled(budget_bytes);
  if (!tiled) return false;
  graph = tiled->graph();
  return true;
}

}  // namespace attune
