#include "cli/adapt_data.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "attune/open_dataset.h"
#include "cli/common.h"
#include "engine/io/file.h"
#include "engine/io/image.h"
#include "engine/io/sound.h"

namespace attune::cli {
namespace {

namespace fs = std::filesystem;

bool is_folder(const std::string& path) {
  std::error_code failure;
  return fs::is_directory(path, failure);
}

}  // namespace

DataKind kind_of_data(const std::string& path) {
  const auto kind_of_file = [](const std::string& name) {
    const std::string extension = extension_of(name);
    const auto is_of = [&](const std::vector<std::string_view>& kind) {
      return std::ranges::find(kind, extension) != kind.end();
    };
    if (is_of(sound_extensions())) return DataKind::sounds;
    if (is_of(image_extensions())) return DataKind::images;
    return DataKind::arrays;
  };
  std::error_code failure;
  if (const std::string extension = extension_of(path);
      extension == ".csv" || extension == ".tsv") {
    // Of the first rows; commas, semicolons, tabs and quotes end a name.
    std::ifstream table(path);
    std::string line;
    for (int row = 0; row < 20 && std::getline(table, line); ++row) {
      for (char& c : line)
        if (c == ',' || c == ';' || c == '\t' || c == '"' || c == '\r') c = '\n';
      std::istringstream fields(line);
      for (std::string field; std::getline(fields, field);)
        if (const DataKind kind = kind_of_file(field); kind != DataKind::arrays) return kind;
    }
    return DataKind::arrays;
  }
  if (!is_folder(path)) return kind_of_file(path);
  for (fs::recursive_directory_iterator entry(path, failure), end; !failure && entry != end;
       entry.increment(failure))
    if (const DataKind kind = kind_of_file(entry->path().string()); kind != DataKind::arrays)
      return kind;
  return DataKind::arrays;
}

DataClasses classes_of_data(const Session& session, const std::string& path,
                            const DataOptions& options) {
  DataClasses found;
  DatasetRequest request = data_request(session, ProgramKind::train_step);
  options.apply(&request);
  if (is_folder(path)) {
    throw_if_error(list_class_folders(path, &found.names));
    request.class_names = found.names;
    request.classes = static_cast<int32_t>(found.names.size());
  } else {
    request.classes = 1 << 24;  // as many as a label may say
    request.found_names = &found.names;
  }
  throw_if_error(open_dataset(path, request, &found.data));
  if (found.data->size() < 1) throw_error("{}: holds no examples", path);
  std::vector<int32_t> labels(static_cast<size_t>(request.target.elements()));
  for (int64_t i = 0; i < found.data->size(); ++i) {
    throw_if_error(found.data->read(i, kTargetField, std::as_writable_bytes(std::span(labels))));
    found.count = std::max(found.count, *std::ranges::max_element(labels) + 1);
  }
  if (!found.names.empty()) found.count = static_cast<int32_t>(found.names.size());
  if (found.count < 2)
    throw_error("{}: all examples are of one class; give some of another to tell apart", path);
  return found;
}

}  // namespace attune::cli
