#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attune/read_limits.h"
#include "attune/status.h"

namespace attune {

// Rows of text fields, as spreadsheets and pandas write them (RFC 4180): separated by commas,
// semicolons or tabs, in quotes where a field holds one of these, a quote or a line break. Blanks
// around fields and empty rows are left out.
struct Csv {
  struct Row {
    int64_t line;
    std::vector<std::string> fields;
  };
  std::vector<Row> rows;
};
// An error where the rows take more memory than limits.input_bytes.
Status parse_csv(const std::string& path, std::string_view text, const ReadLimits& limits,
                 Csv* csv);

// The text as a number, blanks around it apart; false where it is none.
bool parse_real(std::string_view text, double* number);

// The names of a table's columns; empty where it has none.
class CsvHeader {
 public:
  CsvHeader() = default;
  explicit CsvHeader(std::vector<std::string> names);

  bool empty() const { return names_.empty(); }
  // "`label`", or "column 2" where there is no name.
  std::string shown(int column) const;
  const std::string& name(int column) const { return names_[static_cast<size_t>(column)]; }
  // Whether a user may mean a column by this name.
  bool has(const std::string& name) const;
  // The column that a user names, whatever the case, or numbers from 1. An error that says which
  // there are, or that names one twice.
  Status find(const std::string& path, const std::string& wanted, const char* option, size_t width,
              int* column) const;
  // The first column whose name is one of `known`, in their order, not among `taken`; -1: none.
  // Case, blanks, '_' and '-' do not count.
  int find_known(std::span<const std::string_view> known, std::span<const int> taken) const;

 private:
  std::vector<std::string> names_, plain_;
  std::map<std::string, int> first_, first_plain_;  // the first column of each name
  std::set<std::string> several_;                   // names of more than one
};

// What columns are often called.
std::span<const std::string_view> known_path_columns();
std::span<const std::string_view> known_label_columns();

}  // namespace attune
