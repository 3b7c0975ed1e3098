#pragma once

#include <map>
#include <memory>
#include <optional>

#include "graph/slicing/gradient_splitter.h"
#include "graph/slicing/row_tiler.h"

namespace attune {

// How small an arena is wanted, and what may be done for it.
struct ArenaWish {
  int64_t bytes = 0;             // 0: as few as there can be
  bool tile_rows = false;        // see the passes of these names
  bool split_gradients = false;  // the cheaper ones come first
  bool remake_masks = false;     // by themselves, without a budget too
  bool rematerialize = false;
};

// Makes the arena of one graph smaller, for one wish after another; what was tried for one is known
// for the next.
class ArenaFitter {
 public:
  // The graph must be scheduled.
  explicit ArenaFitter(Graph graph);
  const Graph& graph() const { return whole_->graph(); }  // as it was given

  // As few steps and as little work as the wish takes; where it cannot be had, the smallest arena.
  std::shared_ptr<PackedGraph> fit(const ArenaWish& wish);

 private:
  using Packed = std::shared_ptr<PackedGraph>;

  Packed cut_in_strips(const ArenaWish& wish);
  // Gradients in strips, and the first layers in rows; as it was where that gains nothing.
  Packed split(int64_t bytes);
  Packed tiled(const Packed& packed, int64_t bytes);

  Packed whole_;
  std::optional<GradientSplitter> splitter_;
  std::map<Packed, RowTiler> tilers_;
};

}  // namespace attune
