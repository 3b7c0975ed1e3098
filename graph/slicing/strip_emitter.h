#pragma once

#include <cstdint>
#include <vector>

#include "graph/slicing/row_stream.h"

namespace attune {

// Where the rows that are still to be read wait for those that come behind them. An image needs
// most memory while it is read; which of these lets others have that memory meanwhile depends on
// them.
enum class Waits : uint8_t {
  at_end,    // of the image's buffer: moved to its start when the next rows come
  at_start,  // of the image's buffer
  elsewhere  // in a place of their own; the next rows and they meet in a new buffer
};
constexpr Waits kAllWaits[] = {Waits::at_end, Waits::at_start, Waits::elsewhere};

// The images of which rows ever wait for others: those whose readers do not take every strip as it
// was made.
std::vector<int> waiting_images(const RowRegion& region, const std::vector<Strip>& strips);

// The nodes that run a region strip by strip, in order; `waits` by image. Adds their values to the
// graph, and leaves its nodes as they are.
std::vector<Node> emit_strips(Graph& graph, const RowRegion& region,
                              const std::vector<Strip>& strips, const std::vector<Waits>& waits);

}  // namespace attune
