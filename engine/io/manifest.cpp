#include <charconv>
#include <filesystem>
#include <optional>

#include "engine/io/example_file.h"
#include "engine/io/file.h"
#include "engine/io/reader.h"

namespace attune {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Splits a line at its commas. A field may stand in quotes, with "" for a quote inside. Nothing
// where a quote is not closed, or text follows one.
std::optional<std::vector<std::string>> split(std::string_view line) {
  std::vector<std::string> fields;
  while (true) {
    line = trimmed(line);
    std::string field;
    if (line.starts_with('"')) {
      line.remove_prefix(1);
      while (true) {
        const size_t quote = line.find('"');
        if (quote == std::string_view::npos) return std::nullopt;
        field += line.substr(0, quote);
        line.remove_prefix(quote + 1);
        if (!line.starts_with('"')) break;
        field += '"';
        line.remove_prefix(1);
      }
      line = trimmed(line);
      if (!line.empty() && line[0] != ',') return std::nullopt;
    } else {
      const size_t comma = line.find(',');
      field = trimmed(line.substr(0, comma));
      line.remove_prefix(comma == std::string_view::npos ? line.size() : comma);
    }
    fields.push_back(std::move(field));
    if (line.empty()) return fields;
    line.remove_prefix(1);
  }
}

class ManifestParser {
 public:
  ManifestParser(const std::string& path, const DatasetRequest& request)
      : path_(path), request_(request), labels_(request) {}

  Status parse(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
    for (int64_t number = 1; !text.empty(); ++number) {
      const size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      where_ = path_ + ":" + std::to_string(number);
      ATTUNE_RETURN_IF_ERROR(parse_line(trimmed(line), number == 1));
    }
    if (paths_.empty()) return file_error(path_, "lists no example; write lines of path,label");
    if (!labels_.empty() && labels_.size() != static_cast<int64_t>(paths_.size()))
      return file_error(path_, "labels only %lld of %zu lines; label all or none",
                        static_cast<long long>(labels_.size()), paths_.size());
    return Status::ok();
  }

  std::vector<std::string>& paths() { return paths_; }
  Labels& labels() { return labels_; }

 private:
  Status parse_line(std::string_view line, bool first) {
    if (line.empty()) return Status::ok();
    const std::optional<std::vector<std::string>> fields = split(line);
    if (!fields)
      return file_error(where_, "a quote is not closed or text follows it; write \"path\",label");
    if (first && is_header(*fields)) return Status::ok();
    const std::string& file = (*fields)[0];
    if (file.empty()) return file_error(where_, "no path; write path,label");
    if (file.find('\0') != std::string::npos)
      return file_error(where_, "a zero byte in the path; save the manifest as plain text");
    paths_.push_back((std::filesystem::path(path_).parent_path() / file).string());
    ATTUNE_RETURN_IF_ERROR(parse_label(std::span(*fields).subspan(1)));
    if (request_.skip_unreadable) return Status::ok();  // found missing when all are read
    if (const Status found = check_regular_file(paths_.back()); !found)
      return file_error(where_, "%s", found.message());
    return Status::ok();
  }

  static bool is_header(const std::vector<std::string>& fields) {
    return fields[0] == "path" && (fields.size() == 1 || fields[1] == "label");
  }

  Status parse_label(std::span<const std::string> fields) {
    if (request_.labels_unread || (fields.empty() && request_.labels_optional)) return Status::ok();
    if (labels_.are_classes()) {
      if (fields.size() != 1 || fields[0].empty())
        return file_error(where_, "%zu fields after the path; write path,label", fields.size());
      int64_t label = 0;
      ATTUNE_RETURN_IF_ERROR(parse_class(where_, fields[0], request_.class_names, &label));
      return labels_.add_class(where_, label);
    }
    if (static_cast<int64_t>(fields.size()) != labels_.target_elements())
      return file_error(where_, "%zu numbers after the path; the model learns %lld", fields.size(),
                        static_cast<long long>(labels_.target_elements()));
    std::vector<double> numbers;
    for (const std::string& field : fields) {
      double number = 0;
      const auto [end, failure] =
          std::from_chars(field.data(), field.data() + field.size(), number);
      if (failure != std::errc() || end != field.data() + field.size())
        return file_error(where_, "`%s` is no number; the model learns numbers",
                          shortened(field).c_str());
      numbers.push_back(number);
    }
    return labels_.add_targets(where_, numbers);
  }

  std::string path_, where_;
  const DatasetRequest& request_;
  Labels labels_;
  std::vector<std::string> paths_;
};

}  // namespace

Status open_manifest(const std::string& path, const DatasetRequest& request,
                     std::unique_ptr<Dataset>* dataset) {
  std::unique_ptr<ExampleFile> loader;
  ATTUNE_RETURN_IF_ERROR(ExampleFile::create(request, &loader));
  std::vector<std::byte> file;
  ATTUNE_RETURN_IF_ERROR(read_file(path, &file));
  ManifestParser manifest(path, request);
  ATTUNE_RETURN_IF_ERROR(manifest.parse({reinterpret_cast<const char*>(file.data()), file.size()}));
  auto reader = std::make_unique<FileReader>(request, std::move(manifest.paths()),
                                             std::move(manifest.labels()), std::move(loader));
  ATTUNE_RETURN_IF_ERROR(reader->prepare(path, request));
  *dataset = std::move(reader);
  return Status::ok();
}

}  // namespace attune
