#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "graph/memory/packed_graph.h"
#include "graph/slicing/piece_emitter.h"
#include "graph/slicing/row_stream.h"

namespace attune {

// Computes the first layers of one graph a few rows at a time, for one budget after another; what
// was tried for one is known for the next. See tile_rows, the pass, and the folder's README.
class RowTiler {
 public:
  // The graph must be scheduled and indexed.
  explicit RowTiler(std::shared_ptr<PackedGraph> graph);
  ~RowTiler();

  // The smallest arena, and of those that reach it (or stay within the budget) the fewest steps.
  // nullptr where that gains nothing, or the graph is within the budget as it is.
  std::shared_ptr<PackedGraph> tiled(int64_t budget_bytes);

 private:
  // What the graph takes while a region does not run, and what others take while it does.
  struct Around {
    int64_t peak = 0, aside = 0;
  };
  // Strips of a region, and the arenas for where their rows may wait.
  struct Tiling {
    std::vector<Piece> strips;
    int64_t bytes = 0;  // of the region's values
    std::map<std::vector<Waits>, int64_t> arenas;
    std::map<std::vector<Waits>, std::shared_ptr<PackedGraph>> packed;  // of those chosen
  };
  // The region up to some node.
  struct End {
    Region region;
    Around around;
    std::map<std::vector<int>, Tiling> tilings;  // by how many rows each node makes at once
  };
  struct Choice;
  class Chooser;

  End& end_at(NodeId node);
  Around around(const Region& region) const;
  Tiling& tiling(End& end, const std::vector<int>& rows);
  Graph with_strips(const End& end, const Tiling& tiling, const std::vector<Waits>& waits) const;
  int64_t arena_bytes(const End& end, Tiling& tiling, const std::vector<Waits>& waits);
  std::shared_ptr<PackedGraph> packed(const End& end, Tiling& tiling,
                                      const std::vector<Waits>& waits);
  std::optional<std::vector<Waits>> best_waits(const End& end, Tiling& tiling, int64_t* best);

  std::shared_ptr<PackedGraph> packed_;
  const Graph& graph_;
  const RowRules rules_;
  const Dependencies dependencies_;
  const StorageMap storage_;
  const std::vector<int64_t> live_;
  std::map<NodeId, End> ends_;
};

}  // namespace attune
