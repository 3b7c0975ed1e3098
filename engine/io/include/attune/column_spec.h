#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace attune {

// What a column of a table is to a model: numbers, or categories by their place in a list, or
// one-hot. The list belongs to the model, so that all data are read alike.
struct ColumnSpec {
  std::string column;  // its name, or its number from 1
  std::string input;   // the model's input that it fills, behind the columns before it
  std::vector<std::string> categories;  // empty: numbers
  bool one_hot = false;                 // a 0 or 1 for each category, not its place
  double mean = 0, deviation = 1;       // numbers become (x - mean) / deviation
  // What stands for a field that is empty, and for a category that is not in the list. Where
  // nothing does, such a field is an error.
  std::optional<std::string> missing, unknown;

  int64_t elements() const { return one_hot ? static_cast<int64_t>(categories.size()) : 1; }
};

// A table or array whose rows are moments, in their order, cut into windows: an example is as many
// rows as the model's input is long.
struct SeriesWindows {
  int64_t stride = 0;   // from one window's start to the next; 0: rows are examples
  int64_t horizon = 0;  // the label is that of so many rows behind the window's last
};

}  // namespace attune
