#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "attune/open_dataset.h"
#include "engine/io/csv.h"
#include "engine/io/labels.h"

namespace attune {

// Which columns of a table are the labels and the weights: those that the request names, those
// whose names are known, or the ones that are left. What it is made with must outlive it, and may
// be filled later.
class CsvColumns {
 public:
  CsvColumns(const std::string& path, const DatasetRequest& request, const CsvHeader& header,
             const std::vector<Csv::Row>& rows)
      : path_(path), request_(request), header_(header), rows_(rows) {}

  // The column is something else.
  void take(int column) { taken_.push_back(column); }
  Status find_beside_paths();
  // In a table of numbers, labels that no name tells are the last columns. A column `weight` may
  // well be a feature there. Without labels the model's input is `features` columns.
  Status find_beside_features(size_t features);

  // Reads both, labels if they are there, which they may lack where these are optional. `weights`
  // stays empty where no column has any.
  Status read(Labels* labels, std::vector<double>* weights) const;

  // The columns that are nothing yet.
  std::vector<int> others() const;
  std::string names(const std::vector<int>& columns) const;
  // "labels from `species`, weights from `w`"
  std::string text() const;

 private:
  size_t width() const { return rows_.front().fields.size(); }
  size_t wanted() const;  // how many label columns
  // Those of them whose every field is a class's name.
  std::vector<int> with_class_names(const std::vector<int>& columns) const;
  Status find_asked();
  void find_weights(std::span<const std::string_view> known);
  void label(std::vector<int> columns);
  Status read_targets(Labels* labels) const;
  Status read_labels(Labels* labels) const;

  const std::string& path_;
  const DatasetRequest& request_;
  const CsvHeader& header_;
  const std::vector<Csv::Row>& rows_;
  std::vector<int> taken_, labels_;
  int weight_ = -1;
};

// Every row must have `width` fields, or more that are empty.
Status check_widths(const std::string& path, const CsvHeader& header, size_t width,
                    std::vector<Csv::Row>* rows);

// Whether the table's fields are the model's input itself, numbers, and not names of files.
bool holds_features(const DatasetRequest& request, const Csv& csv);
Status open_feature_table(const std::string& path, const DatasetRequest& request, Csv csv,
                          std::unique_ptr<Dataset>* dataset);

}  // namespace attune
