#pragma once

#include <string>
#include <vector>

namespace attune::cli {

// A table for people: columns as wide as their longest cell, numbers to the right.
class Table {
 public:
  // A header that starts with '>' makes its column flush right. Headers may all be empty.
  explicit Table(std::vector<std::string> headers);
  void row(std::vector<std::string> cells);
  // Every line starts with `indent` spaces; the headers are left out where all are empty.
  std::string text(int indent = 0) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
  bool has_headers_ = false;
};

// Columns that a text takes on a terminal, taking each UTF-8 code point as one.
size_t display_width(const std::string& text);

// Text of a file or plan as it may be shown: control characters become '?'.
std::string shown(std::string text);

}  // namespace attune::cli
