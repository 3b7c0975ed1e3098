#include "engine/io/csv_columns.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "engine/io/file.h"
#include "engine/io/label_column.h"

namespace attune {

size_t CsvColumns::wanted() const { return static_cast<size_t>(request_.target.elements()); }

Status CsvColumns::find_asked() {
  if (!request_.weight_column.empty()) {
    ATTUNE_RETURN_IF_ERROR(
        header_.find(path_, request_.weight_column, "--weight-column", width(), &weight_));
    take(weight_);
  }
  std::vector<int> asked;
  for (std::string_view rest = request_.label_column; !rest.empty();) {
    const size_t comma = rest.find(',');
    asked.push_back(-1);
    ATTUNE_RETURN_IF_ERROR(header_.find(path_, std::string(rest.substr(0, comma)), "--label-column",
                                        width(), &asked.back()));
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
  }
  if (!asked.empty() && asked.size() != wanted())
    return file_error(path_, "--label-column names %zu columns, and the model learns %zu",
                      asked.size(), wanted());
  label(std::move(asked));
  return Status::ok();
}

void CsvColumns::find_weights(std::span<const std::string_view> known) {
  if (weight_ >= 0) return;
  weight_ = header_.find_known(known, taken_);
  if (weight_ >= 0) take(weight_);
}

void CsvColumns::label(std::vector<int> columns) {
  labels_ = std::move(columns);
  taken_.insert(taken_.end(), labels_.begin(), labels_.end());
}

std::vector<int> CsvColumns::others() const {
  std::vector<bool> taken(width());
  for (int column : taken_) taken[static_cast<size_t>(column)] = true;
  std::vector<int> left;
  for (int i = 0; i < static_cast<int>(width()); ++i)
    if (!taken[static_cast<size_t>(i)]) left.push_back(i);
  return left;
}

std::vector<int> CsvColumns::with_class_names(const std::vector<int>& columns) const {
  const std::set<std::string_view> names(request_.class_names.begin(), request_.class_names.end());
  std::vector<int> named;
  for (int column : columns) {
    const bool all = std::ranges::all_of(rows_, [&](const Csv::Row& row) {
      return names.contains(row.fields[static_cast<size_t>(column)]);
    });
    if (all && request_.classes > 0) named.push_back(column);
  }
  return named;
}

std::string CsvColumns::names(const std::vector<int>& columns) const {
  std::vector<std::string> shown;
  for (int column : columns) shown.push_back(header_.shown(column));
  return name_list(shown);
}

std::string CsvColumns::text() const {
  std::string text = labels_.empty() ? "no labels" : "labels from " + names(labels_);
  if (weight_ >= 0) text += ", weights from " + header_.shown(weight_);
  return text;
}

Status CsvColumns::find_beside_paths() {
  ATTUNE_RETURN_IF_ERROR(find_asked());
  constexpr std::string_view kWeights[] = {"sampleweight", "sampleweights", "weight", "weights"};
  find_weights(kWeights);
  if (!labels_.empty()) return Status::ok();
  std::vector<int> left = others();
  const int known = header_.find_known(known_label_columns(), taken_);
  if (wanted() == 1 && known >= 0) left = {known};
  if (const std::vector<int> named = with_class_names(left);
      left.size() > wanted() && named.size() == wanted())
    left = named;
  if (left.size() == wanted()) {
    label(std::move(left));
    return Status::ok();
  }
  if (request_.labels_optional) return Status::ok();
  const std::string line = path_ + ":" + std::to_string(rows_.front().line);
  if (!header_.empty() && !left.empty())
    return file_error(path_, "the model learns %zu %s of these: %s; name it with --label-column",
                      wanted(), wanted() == 1 ? "column" : "columns", names(left).c_str());
  if (request_.classes > 0)
    return file_error(line, "%zu fields after the path; write path,label", left.size());
  return file_error(line, "%zu numbers after the path; the model learns %zu", left.size(),
                    wanted());
}

Status CsvColumns::find_beside_features(size_t features) {
  ATTUNE_RETURN_IF_ERROR(find_asked());
  constexpr std::string_view kWeights[] = {"sampleweight", "sampleweights"};
  find_weights(kWeights);
  if (!labels_.empty()) return Status::ok();
  std::vector<int> left = others();
  if (request_.labels_optional && left.size() == features) return Status::ok();
  const int known = header_.find_known(known_label_columns(), taken_);
  if (wanted() == 1 && known >= 0)
    left = {known};
  else if (left.size() > wanted())
    left.erase(left.begin(), left.end() - static_cast<ptrdiff_t>(wanted()));
  label(std::move(left));
  return Status::ok();
}

Status CsvColumns::read_targets(Labels* labels) const {
  for (const Csv::Row& row : rows_) {
    const std::string where = path_ + ":" + std::to_string(row.line);
    std::vector<double> numbers;
    for (int column : labels_) {
      const std::string& text = row.fields[static_cast<size_t>(column)];
      numbers.push_back(0);
      if (!parse_real(text, &numbers.back()))
        return file_error(where, "`%s` is no number%s; the model learns numbers",
                          shortened(text).c_str(),
                          text.find(',') == text.npos ? "" : " (write 0.5, not 0,5)");
    }
    ATTUNE_RETURN_IF_ERROR(labels->add_targets(where, numbers));
  }
  return Status::ok();
}

Status CsvColumns::read_labels(Labels* labels) const {
  if (!labels->are_classes() || labels_.size() > 1) return read_targets(labels);
  std::vector<LineText> column;
  for (const Csv::Row& row : rows_)
    column.push_back({row.line, row.fields[static_cast<size_t>(labels_[0])]});
  return add_label_column(path_, column, request_, labels);
}

Status CsvColumns::read(Labels* labels, std::vector<double>* weights) const {
  for (const Csv::Row& row : rows_) {
    if (weight_ < 0) break;
    const std::string& text = row.fields[static_cast<size_t>(weight_)];
    weights->push_back(0);
    if (!parse_real(text, &weights->back()))
      return file_error(path_ + ":" + std::to_string(row.line),
                        "weight `%s` is no number; write 1 for an ordinary example",
                        shortened(text).c_str());
  }
  if (labels_.empty() || request_.labels_unread) return Status::ok();
  Labels read(*labels);
  const Status status = read_labels(&read);
  // A prediction has no use for labels, whatever they are.
  if (!status) return request_.labels_optional ? Status::ok() : status;
  *labels = std::move(read);
  return Status::ok();
}

Status check_widths(const std::string& path, const CsvHeader& header, size_t width,
                    std::vector<Csv::Row>* rows) {
  for (Csv::Row& row : *rows) {
    while (row.fields.size() > width && row.fields.back().empty()) row.fields.pop_back();
    if (row.fields.size() != width)
      return file_error(path + ":" + std::to_string(row.line), "%zu fields, and %s has %zu",
                        row.fields.size(), header.empty() ? "the first line" : "the header", width);
  }
  return Status::ok();
}

}  // namespace attune
