#include "graph/memory/arena_fitter.h"

#include <algorithm>

#include "graph/passes/passes.h"

namespace attune {

ArenaFitter::ArenaFitter(Graph graph) {
  graph.index();
  whole_ = std::make_shared<PackedGraph>(std::move(graph));
}

ArenaFitter::Packed ArenaFitter::split(int64_t bytes) {
  if (!splitter_) splitter_.emplace(whole_->graph());
  Packed split = splitter_->split(bytes);
  return split ? split : whole_;
}

ArenaFitter::Packed ArenaFitter::tiled(const Packed& packed, int64_t bytes) {
  RowTiler& tiler = tilers_.try_emplace(packed, packed).first->second;
  Packed tiled = tiler.tiled(bytes);
  return tiled ? tiled : packed;
}

// Gradients of weights and rows of the first layers in strips: few where the wish is reached, else
// few for the smallest arena there is.
ArenaFitter::Packed ArenaFitter::cut_in_strips(const ArenaWish& wish) {
  if (whole_->fits(wish.bytes)) return whole_;
  const Packed finest = wish.split_gradients ? split(0) : whole_;
  const Packed least = wish.tile_rows ? tiled(finest, wish.bytes) : finest;
  if (finest == whole_) return least;
  // Strips that go below what something else takes are for nothing. Packing wastes a little.
  const int64_t reached = std::max(wish.bytes, least->full().arena_bytes);
  for (const double share : {1.0, 0.92}) {
    Packed fewer = split(static_cast<int64_t>(share * static_cast<double>(reached)));
    if (wish.tile_rows) fewer = tiled(fewer, reached);
    if (fewer->fits(reached)) return fewer;
  }
  return least;
}

ArenaFitter::Packed ArenaFitter::fit(const ArenaWish& wish) {
  const Packed packed = cut_in_strips(wish);
  if (packed->fits(wish.bytes)) return packed;
  Packed least = packed;
  if (wish.remake_masks) {
    Graph fewer = packed->graph();
    if (remake_masks(fewer)) {
      auto remade = std::make_shared<PackedGraph>(std::move(fewer));
      if (remade->full().arena_bytes < packed->full().arena_bytes) least = std::move(remade);
    }
    if (least->fits(wish.bytes)) return least;
  }
  if (!wish.rematerialize) return least;
  Graph again = packed->graph();
  return rematerialize(again, wish.bytes) ? std::make_shared<PackedGraph>(std::move(again)) : least;
}

}  // namespace attune
