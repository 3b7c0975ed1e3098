#include <algorithm>

#include "engine/io/csv_columns.h"
#include "engine/io/file.h"
#include "engine/io/reader.h"
#include "engine/io/shape_fit.h"

namespace attune {
namespace {

bool is_number(const std::string& text) {
  double number = 0;
  return parse_real(text, &number);
}

// Whether a row has the columns' names: no numbers, or the 0, 1, 2 .. that pandas writes for names.
bool is_header(const std::vector<std::string>& fields) {
  int64_t numbers = 0;
  bool counts = true;
  for (const std::string& field : fields)
    if (is_number(field)) counts = counts && field == std::to_string(numbers++);
  return numbers == 0 || (counts && numbers > 2);
}

// A table whose columns are the model's input.
class FeatureTable {
 public:
  FeatureTable(const std::string& path, const DatasetRequest& request, Csv csv)
      : path_(path),
        request_(request),
        rows_(std::move(csv.rows)),
        columns_(path, request, header_, rows_) {}

  Status read(NpyArray* inputs, Labels* labels, std::vector<double>* weights) {
    const size_t width = rows_.front().fields.size();
    if (is_header(rows_.front().fields)) {
      header_ = CsvHeader(std::move(rows_.front().fields));
      rows_.erase(rows_.begin());
    }
    if (rows_.empty()) return file_error(path_, "holds no example; write at least one row");
    ATTUNE_RETURN_IF_ERROR(check_widths(path_, header_, width, &rows_));
    const auto wanted = static_cast<size_t>(row_shape(request_, request_.example()).elements());
    pass_over_index();
    ATTUNE_RETURN_IF_ERROR(columns_.find_beside_features(wanted));
    const std::vector<int> features = columns_.others();
    if (features.size() != wanted)
      return file_error(path_,
                        "%zu columns of features (%s; %s), and the model's input `%.*s` takes %zu; "
                        "remove the others, or name them with --label-column and --weight-column",
                        features.size(), columns_.names(features).c_str(), columns_.text().c_str(),
                        static_cast<int>(request_.example().name.size()),
                        request_.example().name.data(), wanted);
    ATTUNE_RETURN_IF_ERROR(read_features(features, inputs));
    note_ = path_ + ": features from " + columns_.names(features) + "; " + columns_.text();
    return columns_.read(labels, weights);
  }

  const std::string& note() const { return note_; }

 private:
  // The numbers of the rows, which pandas writes as a first column without a name.
  void pass_over_index() {
    if (!header_.empty() && (header_.name(0).empty() || header_.name(0) == "Unnamed: 0"))
      columns_.take(0);
  }

  Status read_features(const std::vector<int>& features, NpyArray* inputs) const {
    *inputs = {NpyType::f64,
               {std::ssize(rows_), std::ssize(features)},
               std::vector<std::byte>(rows_.size() * features.size() * sizeof(double))};
    std::byte* next = inputs->bytes.data();
    for (const Csv::Row& row : rows_)
      for (int column : features) {
        const std::string& text = row.fields[static_cast<size_t>(column)];
        double number = 0;
        if (!parse_real(text, &number))
          return file_error(path_ + ":" + std::to_string(row.line), "%s: `%s` is no number%s",
                            header_.shown(column).c_str(), shortened(text).c_str(),
                            text.empty() ? ", but missing; fill it in, or remove the row"
                                         : "; the model takes numbers");
        next = std::ranges::copy(std::as_bytes(std::span(&number, 1)), next).out;
      }
    return Status::ok();
  }

  const std::string& path_;
  const DatasetRequest& request_;
  std::vector<Csv::Row> rows_;
  CsvHeader header_;
  CsvColumns columns_;
  std::string note_;
};

}  // namespace

bool holds_features(const DatasetRequest& request, const Csv& csv) {
  const Shape row = row_shape(request, request.example());
  const int64_t features[] = {row.elements()};
  if (request.preprocess.front_end != FrontEnd::none || !request.path_column.empty() ||
      csv.rows.empty() || !(row.rank == 0 || holds_example(features, row)))
    return false;
  // The first row may be names.
  const std::vector<std::string>& fields = csv.rows[csv.rows.size() > 1].fields;
  const auto is_path = [](const std::string& field) {
    constexpr size_t kLongest = 5;  // ".jpeg"
    return !is_number(field) && !extension_of(field).empty() &&
           extension_of(field).size() <= kLongest;
  };
  return std::ranges::any_of(fields, is_number) && std::ranges::none_of(fields, is_path);
}

Status open_feature_table(const std::string& path, const DatasetRequest& request, Csv csv,
                          std::unique_ptr<Dataset>* dataset) {
  FeatureTable table(path, request, std::move(csv));
  NpyArray inputs;
  Labels labels(request);
  std::vector<double> weights;
  ATTUNE_RETURN_IF_ERROR(table.read(&inputs, &labels, &weights));
  ATTUNE_RETURN_IF_ERROR(keep_weights_of_examples(path, request, inputs.shape[0], &weights));
  std::vector<ArrayField> fields;
  fields.push_back({path, std::move(inputs)});
  std::unique_ptr<Reader> reader;
  ATTUNE_RETURN_IF_ERROR(open_arrays(request, std::move(fields), std::move(labels), &reader));
  ATTUNE_RETURN_IF_ERROR(reader->set_weights(path, std::move(weights)));
  reader->add_note(table.note());
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
