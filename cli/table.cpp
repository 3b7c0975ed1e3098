#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/terminal.h"
#include "sparse_update/number_text.h"

namespace attune::cli {

using Json = nlohmann::ordered_json;

size_t display_width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

Table::Table(std::vector<std::string> headers) {
  for (std::string& header : headers) {
    const bool right = !header.empty() && header[0] == '>';
    right_.push_back(right);
    if (right) header.erase(0, 1);
    has_headers_ = has_headers_ || !header.empty();
  }
  rows_.push_back(std::move(headers));
}

void Table::row(std::vector<std::string> cells) {
  cells.resize(right_.size());
  for (std::string& cell : cells) cell = shown(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(int indent) const {
  std::vector<size_t> widths(right_.size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  std::string text;
  for (size_t r = has_headers_ ? 0 : 1; r < rows_.size(); ++r) {
    std::string line(static_cast<size_t>(indent), ' ');
    for (size_t i = 0; i < right_.size(); ++i) {
      const std::string& cell = rows_[r][i];
      const std::string padding(widths[i] - display_width(cell), ' ');
      if (i > 0) line += "  ";
      line += right_[i] ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string plain_cell(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

CellText fixed_cell(int digits) {
  return
      [digits](const Json& value) { return fmt::format("{:.{}f}", value.get<double>(), digits); };
}

CellText percent_cell(int digits) {
  return [digits](const Json& value) {
    return fmt::format("{:.{}f} %", 100 * value.get<double>(), digits);
  };
}

std::string count_cell(const Json& value) { return count_text(value.get<uint64_t>()); }

Table table_of(const Json& objects, std::vector<Column> columns) {
  std::erase_if(columns, [&](const Column& column) {
    return !column.key.empty() && !objects.empty() && !objects.front().contains(column.key);
  });
  std::vector<std::string> cells;
  for (const Column& column : columns) cells.push_back(column.header);
  Table table(cells);
  for (size_t row = 0; row < objects.size(); ++row) {
    cells.clear();
    for (const Column& column : columns)
      cells.push_back(column.key.empty() ? std::to_string(row)
                                         : column.text(objects[row][column.key]));
    table.row(cells);
  }
  return table;
}

}  // namespace attune::cli
