#pragma once

#include <functional>
#include <nlohmann/json.hpp>
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

// A number or a text of JSON as a cell: as it is, with so many digits behind the point, as percent,
// in groups of three digits.
using CellText = std::function<std::string(const nlohmann::ordered_json&)>;
std::string plain_cell(const nlohmann::ordered_json& value);
CellText fixed_cell(int digits);
CellText percent_cell(int digits);
std::string count_cell(const nlohmann::ordered_json& value);

// What a table shows of JSON objects: the value of a key, or the row's number where that is empty.
struct Column {
  std::string header;  // as of Table
  std::string key;
  CellText text = plain_cell;
};
// A row for each object; a column whose key they lack is left out.
Table table_of(const nlohmann::ordered_json& objects, std::vector<Column> columns);

// Columns that a text takes on a terminal, taking each UTF-8 code point as one.
size_t display_width(const std::string& text);

}  // namespace attune::cli
