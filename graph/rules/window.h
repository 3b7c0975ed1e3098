#pragma once

#include <optional>

#include "graph/rules/rules.h"

// Windows that slide over an image: convolutions and pools.
namespace attune {

// `attrs` with the sizes that gradients need: those of x[N,H,W,C] and of a kernel of this height
// and width.
Conv2dAttrs with_sizes(Conv2dAttrs attrs, const Shape& x, int kernel_h, int kernel_w);
Pool2dAttrs with_sizes(Pool2dAttrs attrs, const Shape& x);
// `attrs` without its clamp, which gradients do not have.
Conv2dAttrs without_clamp(Conv2dAttrs attrs);

// What windows over the rows of an image, or its columns, read: window r sees rows
// r * stride - pad .. r * stride - pad + reach - 1, as far as they exist.
struct Rows {
  int begin = 0, end = 0;
  int count() const { return end - begin; }
  friend bool operator==(const Rows&, const Rows&) = default;
};
struct RowWindows {
  int stride = 1, reach = 1, pad = 0;
  int axis = 1;  // of x[N,H,W,C]: 1 for rows, 2 for columns

  // The rows of an image of this height that these windows read.
  Rows reads(Rows windows, int height) const;
  // Makes the attributes of a whole operator those of one that computes these windows alone, from
  // the rows that they read. Does nothing where the operator has no windows.
  void cut_attrs(AnyAttrs& attrs, Rows windows, int height) const;
};
// Nothing where a window may see nothing but padding. An operator without windows sees of row r row
// r. `kernel` is the weight's size along the axis; pools know their own.
std::optional<RowWindows> row_windows(const AnyAttrs& attrs, int kernel, int axis = 1);

}  // namespace attune
