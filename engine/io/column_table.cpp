// Tables of which a user says what each column is.
#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "engine/io/csv_columns.h"
#include "engine/io/file.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

// As spreadsheets and pandas write what is not there.
bool is_missing(std::string_view text) {
  constexpr std::string_view kMissing[] = {"", "NA", "N/A", "NaN", "nan", "null", "None"};
  return std::ranges::count(kMissing, text) > 0;
}

// The places of a column's categories, of which there may be as many as rows.
class Categories {
 public:
  explicit Categories(const std::vector<std::string>& list) {
    for (const std::string& category : list) {
      const auto place = static_cast<int64_t>(by_text_.size());
      if (!by_text_.emplace(category, place).second) {
        twice_ = &category;
        return;
      }
      if (double number = 0; parse_real(category, &number) && !std::isnan(number))
        by_value_.emplace(number, place);
    }
  }

  const std::string* twice() const { return twice_; }  // what is listed twice, if anything is
  // -1: it is none of them. A number may be written otherwise: 1 and 1.0.
  int64_t place_of(const std::string& text) const {
    if (const auto found = by_text_.find(text); found != by_text_.end()) return found->second;
    double number = 0;
    if (!parse_real(text, &number) || std::isnan(number)) return -1;
    const auto found = by_value_.find(number);
    return found == by_value_.end() ? -1 : found->second;
  }

 private:
  std::map<std::string_view, int64_t> by_text_;
  std::map<double, int64_t> by_value_;  // the first of each
  const std::string* twice_ = nullptr;
};

class ColumnTable {
 public:
  ColumnTable(const std::string& path, const DatasetRequest& request, Csv csv)
      : path_(path),
        request_(request),
        rows_(std::move(csv.rows)),
        columns_(path, request, header_, rows_) {}

  Status read(std::vector<ArrayField>* fields, Labels* labels, std::vector<double>* weights) {
    if (rows_.empty()) return file_error(path_, "holds no example; write at least one row");
    const size_t width = rows_.front().fields.size();
    const CsvHeader names(rows_.front().fields);
    const auto is_there = [&](const ColumnSpec& spec) { return names.has(spec.column); };
    if (std::ranges::any_of(request_.columns, is_there)) {
      header_ = CsvHeader(std::move(rows_.front().fields));
      rows_.erase(rows_.begin());
    }
    if (rows_.empty()) return file_error(path_, "holds no example; write at least one row");
    ATTUNE_RETURN_IF_ERROR(check_widths(path_, header_, width, &rows_));
    for (const ColumnSpec& spec : request_.columns) {
      places_.push_back(-1);
      ATTUNE_RETURN_IF_ERROR(header_.find(path_, spec.column, "--columns", width, &places_.back()));
      columns_.take(places_.back());
      categories_.emplace_back(spec.categories);
      ATTUNE_RETURN_IF_ERROR(check_spec(spec, categories_.back()));
    }
    ATTUNE_RETURN_IF_ERROR(columns_.find_beside_features(0));
    for (const ExampleSpec& input : request_.inputs) {
      fields->push_back({path_, {}});
      ATTUNE_RETURN_IF_ERROR(read_input(input, &fields->back().elements));
    }
    return columns_.read(labels, weights);
  }

  std::string note() const {
    std::vector<int> taken = places_;
    std::string text = path_ + ": inputs from " + columns_.names(taken) + "; " + columns_.text();
    if (const std::vector<int> left = columns_.others(); !left.empty())
      text += "; not used: " + columns_.names(left);
    return text;
  }

 private:
  Status check_spec(const ColumnSpec& spec, const Categories& categories) const {
    const auto named = [&](const ExampleSpec& input) { return input.name == spec.input; };
    const auto input = std::ranges::find_if(request_.inputs, named);
    const char* column = spec.column.c_str();
    if (input == request_.inputs.end())
      return file_error(path_,
                        "--columns: column `%s` fills the input `%s`, which the model has not",
                        column, shortened(spec.input).c_str());
    const auto count = static_cast<int64_t>(spec.categories.size());
    if (input->limit > 0 && !spec.one_hot && count > input->limit)
      return file_error(path_,
                        "--columns: column `%s` has %lld categories, and the model's table %d rows",
                        column, static_cast<long long>(count), input->limit);
    if (input->dtype == DType::i32 && (spec.mean != 0 || spec.deviation != 1))
      return file_error(path_, "--columns: column `%s` makes ids, which have no mean or deviation",
                        column);
    if (categories.twice())
      return file_error(path_, "--columns: column `%s` has the category `%s` twice", column,
                        shortened(*categories.twice()).c_str());
    for (const auto& [key, text] :
         {std::pair("missing", spec.missing), {"unknown", spec.unknown}}) {
      double number = 0;
      const bool good =
          !text || (spec.categories.empty() ? parse_real(*text, &number) && key[0] == 'm'
                                            : categories.place_of(*text) >= 0);
      if (!good)
        return file_error(path_, "--columns: column `%s`: its `%s`, `%s`, is no %s", column, key,
                          shortened(*text).c_str(),
                          spec.categories.empty() ? "number (of numbers, none is unknown)"
                                                  : "category of its list");
    }
    return Status::ok();
  }

  Status read_input(const ExampleSpec& input, NpyArray* array) const {
    int64_t made = 0;
    std::vector<size_t> filling;
    for (size_t i = 0; i < request_.columns.size(); ++i) {
      if (request_.columns[i].input != input.name) continue;
      made += request_.columns[i].elements();
      filling.push_back(i);
    }
    const Shape wanted = row_shape(request_, input);
    if (made != wanted.elements())
      return file_error(
          path_, "--columns gives %lld numbers to the model's input `%.*s`, which takes %lld",
          static_cast<long long>(made), static_cast<int>(input.name.size()), input.name.data(),
          static_cast<long long>(wanted.elements()));
    const uint64_t count = rows_.size() * static_cast<uint64_t>(made);
    if (count > request_.limits.input_bytes / sizeof(double))
      return too_many_bytes(path_, count * sizeof(double), request_.limits);
    std::vector<double> numbers;
    numbers.reserve(count);
    for (const Csv::Row& row : rows_)
      for (size_t i : filling) ATTUNE_RETURN_IF_ERROR(add_field(row, i, &numbers));
    const auto bytes = std::as_bytes(std::span(numbers));
    *array = {NpyType::f64, {std::ssize(rows_), made}, {bytes.begin(), bytes.end()}};
    return Status::ok();
  }

  Status add_field(const Csv::Row& row, size_t index, std::vector<double>* numbers) const {
    const ColumnSpec& spec = request_.columns[index];
    const Categories& categories = categories_[index];
    const int column = places_[index];
    const std::string where = path_ + ":" + std::to_string(row.line);
    const std::string name = header_.shown(column);
    std::string text = row.fields[static_cast<size_t>(column)];
    const bool listed = categories.place_of(text) >= 0;
    if (!listed && is_missing(text)) {
      if (!spec.missing)
        return file_error(where,
                          "%s is missing; fill it in, remove the row, or say in --columns what is "
                          "`missing`",
                          name.c_str());
      text = *spec.missing;
    } else if (!listed && !spec.categories.empty()) {
      if (!spec.unknown)
        return file_error(
            where,
            "%s: `%s` is none of its %zu categories in --columns (%s); correct it, or "
            "say there what stands for the `unknown`",
            name.c_str(), shortened(text).c_str(), spec.categories.size(),
            name_list(spec.categories).c_str());
      text = *spec.unknown;
    }
    if (spec.categories.empty()) {
      double number = 0;
      if (!parse_real(text, &number))
        return file_error(where, "%s: `%s` is no number; list its `categories` in --columns",
                          name.c_str(), shortened(text).c_str());
      numbers->push_back((number - spec.mean) / spec.deviation);
      return Status::ok();
    }
    const int64_t place = categories.place_of(text);
    if (!spec.one_hot) numbers->push_back(static_cast<double>(place));
    for (int64_t i = 0; spec.one_hot && i < std::ssize(spec.categories); ++i)
      numbers->push_back(i == place ? 1 : 0);
    return Status::ok();
  }

  const std::string& path_;
  const DatasetRequest& request_;
  std::vector<Csv::Row> rows_;
  CsvHeader header_;
  CsvColumns columns_;
  std::vector<int> places_;             // of the request's columns in the table
  std::vector<Categories> categories_;  // of the request's columns
};

}  // namespace

Status open_column_table(const std::string& path, const DatasetRequest& request, Csv csv,
                         std::unique_ptr<Dataset>* dataset) {
  ColumnTable table(path, request, std::move(csv));
  std::vector<ArrayField> fields;
  Labels labels(request);
  std::vector<double> weights;
  ATTUNE_RETURN_IF_ERROR(table.read(&fields, &labels, &weights));
  ATTUNE_RETURN_IF_ERROR(
      keep_weights_of_examples(path, request, fields[0].elements.shape[0], &weights));
  std::unique_ptr<Reader> reader;
  ATTUNE_RETURN_IF_ERROR(open_arrays(request, std::move(fields), std::move(labels), &reader));
  ATTUNE_RETURN_IF_ERROR(reader->set_weights(path, std::move(weights)));
  reader->add_note(table.note());
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
