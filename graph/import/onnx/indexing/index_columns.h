#pragma once

#include <optional>

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// The indices (input 1) of GatherND and ScatterND: a place of x in each column of their last axis.
// Columns in front that count along the indices' own axes, as x[arange(N), best] has them, are axes
// in step instead: so each example has a table of its own.
class IndexColumns {
 public:
  IndexColumns(const OnnxNode& n, const Dims& x, int64_t batch_dims);

  // The indices' axes but for the columns, and what is behind the columns' axes of x.
  const Dims& outer() const { return outer_; }
  const Dims& slice() const { return slice_; }
  // x is [rows, size, slice], and there are `ids` [rows, count].
  int64_t rows() const { return rows_; }
  int64_t size() const { return size_; }
  int64_t count() const { return count_elements(outer_) / rows_; }
  // Of known indices: the place of every element of a slice of x, for all of them.
  Dims elements() const;
  // i32, in a table of a row.
  ValueId ids(const OnnxNode& n) const;

 private:
  struct Column {
    int64_t size = 1;    // of x's axis
    Dims known;          // or a value:
    ValueId value = kNone;
  };
  bool counts(const Column& column, size_t axis) const;

  Dims outer_, slice_;
  std::vector<Column> columns_;
  size_t in_step_;
  int64_t rows_ = 1, size_ = 1;
};

// Input `input` as i32, its axes transposed.
ValueId turned_ids(const OnnxNode& n, int input, const Perm& perm);

}  // namespace attune
