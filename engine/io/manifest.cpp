#include <algorithm>
#include <filesystem>
#include <system_error>

#include "engine/io/csv.h"
#include "engine/io/csv_columns.h"
#include "engine/io/example_file.h"
#include "engine/io/file.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code failure;
  return fs::is_regular_file(path, failure);
}

// A table with a file in each row.
class Manifest {
 public:
  Manifest(const std::string& path, const DatasetRequest& request, const ExampleFile& loader,
           Csv csv)
      : path_(path),
        request_(request),
        loader_(loader),
        rows_(std::move(csv.rows)),
        columns_(path, request, header_, rows_) {}

  Status read(Labels* labels, std::vector<double>* weights) {
    if (rows_.empty()) return lists_nothing();
    const size_t width = rows_.front().fields.size();
    if (has_header()) {
      header_ = CsvHeader(std::move(rows_.front().fields));
      rows_.erase(rows_.begin());
    }
    if (rows_.empty()) return lists_nothing();
    ATTUNE_RETURN_IF_ERROR(check_widths(path_, header_, width, &rows_));
    ATTUNE_RETURN_IF_ERROR(find_paths());
    columns_.take(path_column_);
    ATTUNE_RETURN_IF_ERROR(columns_.find_beside_paths());
    for (const Csv::Row& row : rows_) ATTUNE_RETURN_IF_ERROR(add_path(row));
    return columns_.read(labels, weights);
  }

  std::vector<std::string> paths;
  // What is worth telling: which columns are read, where others are not.
  std::string note() const {
    const std::vector<int> left = columns_.others();
    if (left.empty() || header_.empty()) return "";
    return path_ + ": files from " + header_.shown(path_column_) + ", " + columns_.text() +
           "; not used: " + columns_.names(left);
  }

 private:
  Status lists_nothing() const {
    return file_error(path_, "lists no example; write lines of path,label");
  }
  fs::path beside(const std::string& file) const { return fs::path(path_).parent_path() / file; }

  // The first field that names a file that is there; -1: none does.
  int file_in(const Csv::Row& row) const {
    const auto found = std::ranges::find_if(row.fields, [&](const std::string& field) {
      return !field.empty() && is_file(beside(field));
    });
    return found == row.fields.end() ? -1 : static_cast<int>(found - row.fields.begin());
  }

  // Whether the first row has the columns' names: it names no file, and has names that the user
  // gives or that we know, or else the next row does name one.
  bool has_header() const {
    const Csv::Row& first = rows_.front();
    if (file_in(first) >= 0) return false;
    const CsvHeader names(first.fields);
    for (const std::string* asked :
         {&request_.path_column, &request_.label_column, &request_.weight_column})
      if (names.has(*asked)) return true;
    if (names.find_known(known_path_columns(), {}) >= 0) return true;
    const bool names_files = std::ranges::any_of(
        first.fields, [&](const std::string& field) { return loader_.takes(extension_of(field)); });
    return !names_files && rows_.size() > 1 && file_in(rows_[1]) >= 0;
  }

  Status find_paths() {
    const size_t width = rows_.front().fields.size();
    if (!request_.path_column.empty())
      return header_.find(path_, request_.path_column, "--path-column", width, &path_column_);
    constexpr size_t kMostRows = 20;  // as the first may name what is missing
    for (size_t i = 0; i < std::min(rows_.size(), kMostRows); ++i)
      if (path_column_ = file_in(rows_[i]); path_column_ >= 0) return Status::ok();
    path_column_ = std::max(header_.find_known(known_path_columns(), {}), 0);
    return Status::ok();
  }

  Status add_path(const Csv::Row& row) {
    const std::string where = path_ + ":" + std::to_string(row.line);
    const std::string& file = row.fields[static_cast<size_t>(path_column_)];
    if (file.empty()) return file_error(where, "no path; write path,label");
    paths.push_back(beside(file).string());
    if (request_.skip_unreadable) return Status::ok();  // found missing when all are read
    const Status found = check_regular_file(paths.back());
    if (found) return found;
    std::string turned = file;
    std::ranges::replace(turned, '\\', '/');
    if (turned != file && is_file(beside(turned)))
      return file_error(where, "%s: no such file, but %s is one; write paths with /",
                        shortened(file).c_str(), shortened(turned).c_str());
    return file_error(where, "%s", found.message());
  }

  const std::string& path_;
  const DatasetRequest& request_;
  const ExampleFile& loader_;
  std::vector<Csv::Row> rows_;
  CsvHeader header_;
  int path_column_ = -1;
  CsvColumns columns_;
};

}  // namespace

Status open_manifest(const std::string& path, const DatasetRequest& request,
                     std::unique_ptr<Dataset>* dataset) {
  std::vector<std::byte> file;
  ATTUNE_RETURN_IF_ERROR(read_file(path, request.limits, &file));
  Csv csv;
  ATTUNE_RETURN_IF_ERROR(parse_csv(path, {reinterpret_cast<const char*>(file.data()), file.size()},
                                   request.limits, &csv));
  if (!request.columns.empty()) return open_column_table(path, request, std::move(csv), dataset);
  if (holds_features(request, csv))
    return open_feature_table(path, request, std::move(csv), dataset);
  std::unique_ptr<ExampleFile> loader;
  ATTUNE_RETURN_IF_ERROR(ExampleFile::create(request, &loader));
  Manifest manifest(path, request, *loader, std::move(csv));
  Labels labels(request);
  std::vector<double> weights;
  ATTUNE_RETURN_IF_ERROR(manifest.read(&labels, &weights));
  auto reader = std::make_unique<FileReader>(request, std::move(manifest.paths), std::move(labels),
                                             std::move(loader));
  if (std::string note = manifest.note(); !note.empty()) reader->add_note(std::move(note));
  ATTUNE_RETURN_IF_ERROR(reader->set_weights(path, std::move(weights)));
  ATTUNE_RETURN_IF_ERROR(reader->prepare(path, request));
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
